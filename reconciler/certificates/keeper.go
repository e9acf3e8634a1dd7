// Package certificates reads the certificates that fleets show, and the authorities of their clients, from files, and hands them to the
// proxies: at once when a fleet names them, and again whenever a file changes. What is not in order is not taken, and the last good stays.
//
// It makes and renews none, and serves none: whoever does puts files there, and reconciler/xds has the proxies.
package certificates

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

// Every is how often the files are looked at.
const Every = 2 * time.Second

// soon is how long before its end a certificate is told of, once a day.
const (
	soon = 14 * 24 * time.Hour
	day  = 24 * time.Hour
)

// Proxies have the secrets.
type Proxies interface {
	Entrust(fleet schema.FleetID, secrets []xds.Secret)
}

// Keeper keeps the proxies' secrets as the files are.
type Keeper struct {
	Log     *slog.Logger
	Now     func() time.Time
	Proxies Proxies

	reader reader
	mu     sync.Mutex
	fleets map[schema.FleetID]map[string]*entry // by name of the secret
}

// entry is one secret of a fleet.
type entry struct {
	files files
	sum   sum // of what was looked at last
	good  *pair
	taken sum       // of what is good
	why   string    // what was looked at last is not taken; empty: it is
	told  time.Time // that it ends soon
}

// State is how it stands with one certificate of a fleet.
type State struct {
	Fleet   schema.FleetID
	Name    string    // as it is declared; of authorities clients/<exposure>/<policy>
	Expires time.Time // of what is shown; zero: nothing is
	Why     string    // the files are not taken; empty: they are
}

// Keep has the secrets of a fleet be those that its listeners name. Files that are named for the first time are read before it returns.
func (k *Keeper) Keep(fleet schema.Fleet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fleets == nil {
		k.fleets = map[schema.FleetID]map[string]*entry{}
	}
	had, next, fresh := k.fleets[fleet.ID], map[string]*entry{}, map[string]*entry{}
	var paths []string
	for name, f := range named(fleet) {
		e := had[name]
		if e == nil || !e.files.same(f) {
			e = renamed(e, f)
			fresh[name], paths = e, append(paths, f.paths()...)
		}
		next[name] = e
	}
	if len(fresh) == 0 && len(next) == len(had) {
		return
	}
	read := k.reader.read(paths)
	for _, name := range slices.Sorted(maps.Keys(fresh)) {
		k.look(fleet.ID, fresh[name], read, true)
	}
	k.fleets[fleet.ID] = next
	k.entrust(fleet.ID)
}

// renamed is the entry of other files under the same name: what was good is shown until they are.
func renamed(before *entry, f files) *entry {
	e := &entry{files: f}
	if before != nil && before.good != nil && f.covered(before.good.leaf) == "" {
		e.good = before.good
	}
	return e
}

// Run looks at the files until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			k.Look()
		}
	}
}

// Look looks at all files once.
func (k *Keeper) Look() {
	read := k.reader.read(k.paths()) // nobody waits for it
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(k.fleets)) {
		changed := false
		for _, name := range slices.Sorted(maps.Keys(k.fleets[id])) {
			e := k.fleets[id][name]
			if slices.ContainsFunc(e.files.paths(), func(path string) bool { return read[path].path == "" }) {
				continue // declared since
			}
			changed = k.look(id, e, read, false) || changed
		}
		if changed {
			k.entrust(id)
		}
	}
}

func (k *Keeper) paths() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []string
	for _, entries := range k.fleets {
		for _, e := range entries {
			out = append(out, e.files.paths()...)
		}
	}
	return out
}

// look judges what was read of a secret's files, and tells whether there is another good one. Files that do not fit are not judged before they are
// the same twice, unless at once: whoever replaces two files does so one after the other.
func (k *Keeper) look(fleet schema.FleetID, e *entry, read map[string]content, atOnce bool) (changed bool) {
	log := k.Log.With("fleet", fleet, "certificate", e.files.name)
	defer k.tellEnd(log, e)
	sum := e.files.sum(read)
	if sum == e.taken && e.why == "" {
		return false
	}
	settled := atOnce || sum == e.sum
	e.sum = sum
	p, why := e.files.check(read, k.Now())
	if why != "" {
		if settled && why != e.why {
			e.why = why
			log.Warn("certificate not taken", "why", why, "shown", e.shown())
		}
		return false
	}
	if e.why != "" {
		log.Info("certificate is in order again")
	}
	e.why, e.taken = "", sum
	if e.good != nil && e.good.same(p) {
		return false
	}
	if e.files.open(read) {
		log.Warn("everybody on the machine may read the private key", "file", e.files.key)
	}
	log.Info("certificate taken", "expires", p.expires().UTC().Format(time.RFC3339))
	e.good, e.told = p, time.Time{}
	return true
}

func (e *entry) shown() string {
	if e.good == nil {
		return "none"
	}
	return "the last good one"
}

// tellEnd warns once a day of a certificate that ends soon and that nobody has renewed.
func (k *Keeper) tellEnd(log *slog.Logger, e *entry) {
	now := k.Now()
	if e.good == nil || e.good.expires().Sub(now) > soon || now.Sub(e.told) < day {
		return
	}
	e.told = now
	log.Warn("certificate ends soon, or has ended: renew it", "expires", e.good.expires().UTC().Format(time.RFC3339))
}

func (k *Keeper) entrust(fleet schema.FleetID) {
	var out []xds.Secret
	for _, name := range slices.Sorted(maps.Keys(k.fleets[fleet])) {
		if e := k.fleets[fleet][name]; e.good != nil {
			out = append(out, e.good.secret(name, e.files))
		}
	}
	k.Proxies.Entrust(fleet, out)
}

// States are all secrets, by fleet and name.
func (k *Keeper) States() []State {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []State
	for id, entries := range k.fleets {
		for _, e := range entries {
			s := State{Fleet: id, Name: e.files.name, Why: e.why}
			if e.good != nil {
				s.Expires = e.good.expires()
			}
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b State) int { return cmp.Or(cmp.Compare(a.Fleet, b.Fleet), cmp.Compare(a.Name, b.Name)) })
	return out
}
