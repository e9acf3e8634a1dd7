package reconciler_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

const (
	fleetsFile = "platform/fleets.cue"
	zonesFile  = "platform/zones.cue"
	nextFile   = "services/trello/next.cue"
	pingFile   = "services/statuspage/statuspage.cue"

	trelloHost = "trello.acme.example"
	twoAddress = "198.51.100.20"
)

// twoFleets declares a second fleet beside the first.
func twoFleets(s string) string {
	return s + `
fleets: two: {
	listeners: {
		public: port:   8080
		internal: port: 8081
	}
	addresses: ["` + twoAddress + `"]
	ttl: "5s"
}
`
}

// declared is a service of trello's that answers by itself.
func declared(id, fleet, exposure string, hosts ...string) func(string) string {
	return func(string) string {
		return fmt.Sprintf(`package services

services: %q: {
	owner: {team: "trello", oncall: "x"}
	hosts: ["%s"]
	exposure: %q
	fleet: %q
	routes: [{name: "all", respond: status: 200}]
}
`, id, strings.Join(hosts, `", "`), exposure, fleet)
	}
}

func swap(old, to string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, to, 1) }
}

func onTwo(s string) string { return strings.Replace(s, `fleet:    "edge"`, `fleet:    "two"`, 1) }

func pong(text string) func(string) string { return swap("pong", text) }

// soon tells whether something comes within a time.
func soon(within time.Duration, is func() bool) bool {
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if is() {
			return true
		}
	}
	return is()
}

// show opens a pull and waits until its plan is stored as shown.
func (b *bench) show(number int, files []load.File) {
	b.Helper()
	b.propose(number, files)
	b.until(fmt.Sprint("pull ", number, " is shown"), func() bool {
		p, ok, err := state.Plans{Store: b.store}.ByPull(context.Background(), number)
		return err == nil && ok && p.Posted && len(p.Steps) > 0
	})
}

// land shows a pull and merges it.
func (b *bench) land(number int, files []load.File) {
	b.Helper()
	b.show(number, files)
	b.merge(number)
}

// offline keeps commits from being fetched until its result is called, so that they come at once.
func (b *bench) offline() func() {
	set := func(err error) {
		b.repository.mu.Lock()
		defer b.repository.mu.Unlock()
		b.repository.err = err
	}
	set(errUnreachable)
	time.Sleep(50 * time.Millisecond)
	return func() { set(nil) }
}

// answers tells whether a fleet answers for a host to those who come for an exposure.
func (b *bench) answers(fleet schema.FleetID, exposure schema.Exposure, host schema.Hostname) bool {
	b.proxies.mu.Lock()
	defer b.proxies.mu.Unlock()
	r := b.proxies.releases[fleet]
	if !slices.ContainsFunc(r.Fleet.Listeners, func(l schema.Listener) bool { return l.Exposure == exposure }) {
		return false
	}
	for _, s := range r.Services {
		if s.Unit.Exposure == exposure && slices.Contains(s.Unit.Domains, host) || slices.Contains(s.Extra, schema.Place{Exposure: exposure, Host: host}) {
			return true
		}
	}
	return false
}

// fleetOfAddress is who has an address; others are nobody's.
func fleetOfAddress(address string) schema.FleetID {
	switch {
	case strings.HasPrefix(address, "192.0.2."):
		return "edge"
	case address == twoAddress:
		return "two"
	}
	return ""
}

// short makes the names of the fleet live for a second only, so that what lingers goes soon.
func (b *bench) short() {
	b.Helper()
	b.repository.commit(with(b.tree(), fleetsFile, swap(`ttl: "5s"`, `ttl: "1s"`)))
	b.converged()
}

// resolver asks for every name all the time and believes each answer for its TTL. Whom it believes in must answer.
type resolver struct {
	mu     sync.Mutex
	broken map[string]bool
}

func (b *bench) resolve() *resolver {
	r := &resolver{broken: map[string]bool{}}
	stop, done, asked := make(chan struct{}), make(chan struct{}), make(chan struct{})
	first := sync.OnceFunc(func() { close(asked) })
	type answer struct {
		zone, host, address string
	}
	go func() {
		defer close(done)
		cached := map[answer]time.Time{} // until
		for {
			for zone, id := range b.zones {
				for _, set := range b.world.Records(id) {
					if set.Type != "A" || set.TTL == nil {
						continue
					}
					host := strings.Replace(strings.TrimSuffix(set.Name, "."), `\052`, "*", 1)
					for _, v := range set.Values() {
						a, until := answer{zone, host, v}, time.Now().Add(time.Duration(*set.TTL)*time.Second)
						if until.After(cached[a]) {
							cached[a] = until
						}
					}
				}
			}
			first()
			for a, until := range cached {
				exposure := schema.Exposure("public")
				if strings.HasSuffix(a.zone, ".internal") {
					exposure = "internal"
				}
				fleet := fleetOfAddress(a.address)
				answered := fleet == "" || b.answers(fleet, exposure, schema.Hostname(a.host))
				if left := time.Until(until); left < 0 {
					delete(cached, a)
				} else if !answered {
					r.mu.Lock()
					r.broken[fmt.Sprintf("%s is led to fleet %s (%s), which does not answer for it", a.host, fleet, a.address)] = true
					r.mu.Unlock()
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	b.Cleanup(func() { close(stop); <-done })
	<-asked
	return r
}

// fine fails for every name that was led astray.
func (r *resolver) fine(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range slices.Sorted(maps.Keys(r.broken)) {
		t.Error(s)
	}
}

// quiet waits for convergence, also after a restart, and holds that nothing is written any more.
func (b *bench) quiet() {
	b.Helper()
	b.converged()
	writes := len(b.world.Writes())
	b.stop()
	b.start()
	b.converged()
	time.Sleep(250 * time.Millisecond)
	if now := len(b.world.Writes()); now != writes {
		b.Errorf("%d writes to a converged world", now-writes)
	}
}

// waitsForPerson tells whether a record is still there while a step waits for a person.
func (b *bench) waitsForPerson(zone, host string) bool {
	soon(5*time.Second, func() bool { return b.View().Pending != "" || b.records(zone)[host] == "" })
	time.Sleep(150 * time.Millisecond)
	return b.records(zone)[host] != ""
}

// unsettled keeps changes of AWS from being told as settled.
func (b *bench) unsettled() *world.Injected {
	return b.world.Inject(world.Fault{Operation: "GetChange", Times: 1_000_000, Status: 404, Code: "NoSuchChange", Message: "none"})
}

func find(files []load.File, path string) []byte {
	return files[slices.IndexFunc(files, func(f load.File) bool { return f.Path == path })].Data
}

// moody is a forge that can be made to fail or to wait.
type moody struct {
	*board
	pullOf func() error
	post   func(context.Context, forge.Target, forge.Review) error
}

func (m moody) PullOf(ctx context.Context, commit string) (forge.Pull, bool, error) {
	if m.pullOf != nil {
		if err := m.pullOf(); err != nil {
			return forge.Pull{}, false, err
		}
	}
	return m.board.PullOf(ctx, commit)
}

func (m moody) Post(ctx context.Context, to forge.Target, r forge.Review) error {
	if m.post != nil {
		if err := m.post(ctx, to, r); err != nil {
			return err
		}
	}
	return m.board.Post(ctx, to, r)
}

const testZone = `
zones: "acme.test": {exposure: "public", id: "%s"}
`
