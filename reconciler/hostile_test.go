package reconciler_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/fixtures/conformance"
	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/aws/route53"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
	"github.com/edgewright/edgewright/reconciler/xds"
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

// startWith runs a reconciler that speaks to another forge.
func (b *bench) startWith(f reconciler.Forge) {
	b.Helper()
	b.stop()
	var err error
	if b.store, err = sqlite.Open(b.Context(), b.dir); err != nil {
		b.Fatal(err)
	}
	b.Reconciler = reconciler.New(reconciler.Config{
		Log: slog.New(slog.NewTextHandler(testWriter{b.T}, nil)), Now: time.Now, Repository: b.repository, Loader: &load.Loader{Evaluator: &load.Trusted{}},
		Provider: route53.New(conformance.Config(b.world.URL)), Proxies: b.proxies, Forge: f, Books: reconciler.BooksOf(b.store),
		Metrics: reconciler.NewMetrics(prometheus.NewRegistry()), Margin: 50 * time.Millisecond,
		Every: reconciler.Every{Poll: 20 * time.Millisecond, Observe: 100 * time.Millisecond, Settle: 10 * time.Millisecond, Sweep: time.Second},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Reconciler.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.Error("run:", err)
			}
			if err := b.store.Close(); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(b.stop)
}

// unsettled keeps changes of AWS from being told as settled.
func (b *bench) unsettled() *world.Injected {
	return b.world.Inject(world.Fault{Operation: "GetChange", Times: 1_000_000, Status: 404, Code: "NoSuchChange", Message: "none"})
}

// A service moves to a new fleet, with a restart in between: the old fleet answers for a TTL.
func TestHostileServiceMovesToAnotherFleet(t *testing.T) {
	b := newBench(t)
	b.short()
	dns := b.resolve()
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("record leads to the second fleet", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.stop()
	b.start()
	if !soon(time.Second, func() bool { return b.answers("edge", "public", trelloHost) }) {
		t.Error("the old fleet does not answer after the restart")
	}
	b.until("the old fleet lets go", func() bool { return !b.answers("edge", "public", trelloHost) })
	dns.fine(t)
	b.quiet()
}

// A record leads to another fleet only once its proxies have the service.
func TestHostileMoveWaitsForAcknowledgement(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	dns := b.resolve()
	b.proxies.acknowledge(false)
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("published", func() bool { return b.answers("two", "public", trelloHost) })
	time.Sleep(150 * time.Millisecond)
	if got := b.records("acme.example")[trelloHost]; got == twoAddress {
		t.Error("the record was moved before any proxy has the service")
	}
	b.stop()
	b.start()
	time.Sleep(150 * time.Millisecond)
	if got := b.records("acme.example")[trelloHost]; got == twoAddress {
		t.Error("after a restart the record was moved before any proxy has the service")
	}
	b.proxies.acknowledge(true)
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.stop()
	calls := fmt.Sprint(b.world.Calls())
	time.Sleep(150 * time.Millisecond)
	if now := fmt.Sprint(b.world.Calls()); now != calls {
		t.Errorf("calls after the end: %s, then %s", calls, now)
	}
	dns.fine(t)
}

func TestHostileExposureChanges(t *testing.T) {
	b := newBench(t)
	b.short()
	dns := b.resolve()
	b.land(3, with(with(b.tree(), "services/jira/jira-web.cue", swap(`"jira.acme.example"`, `"web.jira.acme.internal"`)),
		"services/jira/jira-web.cue", swap(`exposure: "public"`, `exposure: "internal"`)))
	b.until("record gone", func() bool { return b.records("acme.example")["jira.acme.example"] == "" })
	b.until("new record", func() bool { return b.records("acme.internal")["web.jira.acme.internal"] != "" })
	dns.fine(t)
	b.quiet()
}

func TestHostileFleetIsRemovedAsItsServicesLeave(t *testing.T) {
	b := newBench(t)
	files := with(with(b.tree(), fleetsFile, twoFleets), trello, onTwo)
	b.converged()
	b.land(2, files)
	b.until("on two", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	dns := b.resolve()
	one := b.repository.files(b.repository.line[0].Hash)
	b.land(3, with(with(files, fleetsFile, func(string) string { return string(find(one, fleetsFile)) }), trello, swap(`"two"`, `"edge"`)))
	b.until("back on edge", func() bool { return strings.HasPrefix(b.records("acme.example")[trelloHost], "192.0.2.10") })
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func TestHostileListenerIsRemovedAsItsServiceLeaves(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	files := b.tree()
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "services/") && strings.Contains(string(f.Data), `"internal"`) {
			files = with(files, f.Path, gone)
		}
	}
	b.land(3, with(files, fleetsFile, swap("internal: port: 8081", "")))
	b.until("records gone", func() bool { return len(b.records("acme.internal")) == 0 })
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func find(files []load.File, path string) []byte {
	return files[slices.IndexFunc(files, func(f load.File) bool { return f.Path == path })].Data
}

// A name goes and comes back within its TTL.
func TestHostileHostComesBack(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	all := b.tree()
	b.land(3, with(all, trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.repository.commit(with(all, pingFile, pong("back")))
	b.until("record back", func() bool { return b.records("acme.example")[trelloHost] != "" })
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
	b.quiet()
}

func TestHostileHostComesBackElsewhere(t *testing.T) {
	b := newBench(t)
	all := with(b.tree(), fleetsFile, twoFleets)
	b.repository.commit(all)
	b.converged()
	dns := b.resolve()
	b.land(3, with(all, trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.repository.commit(with(all, trello, onTwo))
	b.until("record back", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func TestHostileDriftAfterAMove(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	dns := b.resolve()
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("A", trelloHost+".", 5, "203.0.113.9"))
	b.until("healed", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.converged()
	time.Sleep(100 * time.Millisecond)
	dns.fine(t)
}

func TestHostileShorterTTLBeforeRemoval(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	b.repository.commit(with(b.tree(), fleetsFile, swap(`ttl: "5s"`, `ttl: "1s"`)))
	b.converged()
	b.land(3, with(b.tree(), trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.until("route gone", func() bool { _, ok := b.proxies.serves(trelloHost); return !ok })
	dns.fine(t)
}

func TestHostileMovesBackBeforeItHasSpread(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	dns := b.resolve()
	before := b.tree()
	pending := b.unsettled()
	b.land(3, with(before, trello, onTwo))
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.land(4, with(before, pingFile, pong("back")))
	b.until("back in the release", func() bool {
		id, _ := b.proxies.serves(trelloHost)
		return b.View().Commit == b.repository.tip() && id == "trello-web"
	})
	time.Sleep(200 * time.Millisecond)
	pending.Remove()
	b.until("back", func() bool { return strings.HasPrefix(b.records("acme.example")[trelloHost], "192.0.2.10") })
	dns.fine(t)
	b.converged()
}

func TestHostileRemovedBeforeItHasSpread(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	before := b.tree()
	pending := b.unsettled()
	b.repository.commit(with(before, nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("record", func() bool { return b.records("acme.example")["next.trello.acme.example"] != "" })
	b.land(3, with(before, pingFile, pong("gone")))
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(200 * time.Millisecond)
	pending.Remove()
	time.Sleep(200 * time.Millisecond)
	dns.fine(t)
}

func TestHostileMovedThenRemovedBeforeAcknowledged(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	b.proxies.acknowledge(false)
	files := with(b.tree(), trello, swap(`"trello.acme.example"`, `"old.trello.acme.example"`))
	b.land(3, with(files, nextFile, declared("next", "edge", "public", trelloHost)))
	b.until("moved", func() bool { id, _ := b.proxies.serves(trelloHost); return id == "next" })
	b.land(4, files)
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	time.Sleep(200 * time.Millisecond)
	dns.fine(t)
}

func TestHostileMarkOfAnotherEdge(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.show(3, with(b.tree(), trello, gone))
	b.world.Put(b.zones["acme.example"], world.Simple("TXT", "_edgewright.acme.example.", 300, `"heritage=edgewright,edge=other"`))
	time.Sleep(300 * time.Millisecond) // it is listed
	writes := len(b.world.Writes())
	b.merge(3)
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(300 * time.Millisecond)
	for _, w := range b.world.Writes()[writes:] {
		t.Errorf("written to a zone of another edge: %s %s", w.Changes[0].Action, w.Changes[0].ResourceRecordSet.Name)
	}
}

// A mark that was removed by hand comes back, and a service beside it goes its way.
func TestHostileMarkRemovedByHand(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Put(b.zones["acme.example"], world.Simple("TXT", "_edgewright.acme.example.", 30, `"heritage=edgewright,edge=acme"`))
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.quiet()
	for _, r := range b.world.Records(b.zones["acme.example"]) {
		if r.Type == "TXT" && *r.TTL != 300 {
			t.Errorf("mark has ttl %d", *r.TTL)
		}
	}
}

func TestHostileApprovalOutlivesARevert(t *testing.T) {
	b := newBench(t)
	b.converged()
	before := b.tree()
	b.show(3, with(before, trello, gone))
	online := b.offline()
	b.merge(3)
	b.repository.commit(before)
	online()
	b.converged()
	time.Sleep(200 * time.Millisecond)
	b.repository.commit(with(with(before, trello, gone), pingFile, pong("unseen")))
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
}

func TestHostileApprovalOutlivesARevertBesideAnUnknownZone(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), zonesFile, func(s string) string { return s + "\nzones: \"later.example\": exposure: \"public\"\n" }))
	b.until("zone is missed", func() bool { return len(b.View().Zones) == 3 && b.View().Zones[2].Error != "" })
	before := b.tree()
	down := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.land(3, with(before, trello, gone))
	b.until("refused", func() bool { return down.Fired() > 0 })
	b.repository.commit(before)
	b.until("reverted", func() bool { return b.View().Commit == b.repository.tip() && len(b.View().Steps) == 0 })
	down.Remove()
	b.repository.commit(with(with(before, trello, gone), pingFile, pong("unseen")))
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
}

// A deletion that was shown, and is reverted before AWS takes it, leaves all as it was and needs to be shown again.
func TestHostileRevertBeforeApplied(t *testing.T) {
	b := newBench(t)
	b.converged()
	dns := b.resolve()
	before := b.tree()
	down := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.land(3, with(before, trello, gone))
	b.until("refused", func() bool { return down.Fired() > 0 })
	b.repository.commit(before)
	b.converged()
	down.Remove()
	b.repository.commit(with(with(before, trello, gone), pingFile, pong("unseen")))
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
	dns.fine(t)
}

func TestHostileMergesWhileDown(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.show(3, with(b.tree(), trello, gone))
	b.stop()
	b.merge(3)
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	b.start()
	if !soon(2*time.Second, func() bool { return b.records("acme.example")[trelloHost] == "" }) {
		t.Error("a deletion that a merged pull had shown waits for a person")
	}
}

// A pull merged under another commit and tree, beside an unrelated one.
func TestHostileSquashAfterUnrelatedMerge(t *testing.T) {
	b := newBench(t)
	b.short()
	b.show(3, with(b.tree(), trello, gone))
	online := b.offline()
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	b.forge.mu.Lock()
	p := b.forge.open[0]
	b.forge.open = nil
	p.Merged = b.repository.commit(with(b.tree(), trello, gone))
	b.forge.merged[p.Merged] = p
	b.forge.mu.Unlock()
	online()
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.quiet()
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

func TestHostileForgeFailsOnce(t *testing.T) {
	b := newBench(t)
	b.converged()
	var once sync.Once
	b.startWith(moody{board: b.forge, pullOf: func() (err error) {
		if b.repository.tip() > fmt.Sprintf("%040d", 1) {
			once.Do(func() { err = errUnreachable })
		}
		return err
	}})
	b.converged()
	b.show(3, with(b.tree(), trello, gone))
	online := b.offline()
	b.merge(3)
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	online()
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	if !soon(2*time.Second, func() bool { return b.records("acme.example")[trelloHost] == "" }) {
		t.Error("a deletion that a merged pull had shown waits for a person")
	}
}

func TestHostilePlanChangesWhileItIsPosted(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.stop()
	list := b.world.Inject(world.Fault{Operation: "ListResourceRecordSets", Times: 1_000_000, Status: 400, Code: "AccessDenied", Message: "no"})
	sent, answer := make(chan forge.Review, 1), make(chan struct{})
	var mu sync.Mutex
	first := true
	b.startWith(moody{board: b.forge, post: func(ctx context.Context, to forge.Target, r forge.Review) error {
		mu.Lock()
		mine := first && to.Pull == 3
		if mine {
			first = false
		}
		mu.Unlock()
		if to.Pull != 3 {
			return nil
		}
		if !mine {
			return errUnreachable
		}
		sent <- r
		select {
		case <-answer:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	b.propose(3, with(b.tree(), trello, gone))
	shown := len((<-sent).Steps)
	list.Remove()
	b.until("planned anew", func() bool {
		v := b.View()
		return len(v.Pulls) == 1 && v.Pulls[0].Verdict == "planned"
	})
	close(answer)
	var stored state.Plan
	b.until("stored", func() bool {
		p, ok, err := state.Plans{Store: b.store}.ByPull(context.Background(), 3)
		stored = p
		return ok && err == nil
	})
	if len(stored.Steps) != shown {
		t.Errorf("%d steps count as shown, the review that was posted has %d", len(stored.Steps), shown)
	}
}

func TestHostileRefusedContentAfterARestart(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.proxies.acknowledge(false)
	b.repository.commit(with(b.tree(), pingFile, pong("refused")))
	published := func() xds.Service {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		return b.proxies.releases["edge"].Services["statuspage"]
	}
	b.until("published", func() bool { return strings.Contains(string(published().Unit.VirtualHost), "refused") })
	refused := published().Version
	b.proxies.mu.Lock()
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "statuspage", Version: refused, Node: "one", Why: "no"}}
	b.proxies.poke()
	b.proxies.mu.Unlock()
	b.until("refusal shown", func() bool {
		return slices.ContainsFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.Refused == "no" })
	})
	b.stop()
	b.proxies.mu.Lock()
	b.proxies.releases, b.proxies.refusals = map[schema.FleetID]xds.Release{}, nil
	b.proxies.mu.Unlock()
	b.start()
	b.until("published again", func() bool { return published().Version != "" })
	if published().Version == refused {
		t.Error("what Envoy refused is published again")
	}
}

// Content that was refused, and is then mended.
func TestHostileRefusedContentIsMended(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), pingFile, pong("refused")))
	b.converged()
	b.proxies.mu.Lock()
	version := b.proxies.releases["edge"].Services["statuspage"].Version
	b.proxies.refusals = []xds.Refusal{{Fleet: "edge", Service: "statuspage", Version: version, Node: "one", Why: "no"}}
	b.proxies.poke()
	b.proxies.mu.Unlock()
	b.repository.commit(with(b.tree(), pingFile, swap("refused", "mended")))
	b.until("mended", func() bool {
		b.proxies.mu.Lock()
		defer b.proxies.mu.Unlock()
		return strings.Contains(string(b.proxies.releases["edge"].Services["statuspage"].Unit.VirtualHost), "mended")
	})
	b.converged()
}

func TestHostileChangeThatAWSForgot(t *testing.T) {
	b := newBench(t)
	b.converged()
	unknown := b.unsettled()
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("record", func() bool { return b.records("acme.example")["next.trello.acme.example"] != "" })
	began := time.Now()
	b.stop()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping took %s", took)
	}
	b.start()
	b.repository.commit(with(b.tree(), "services/trello/more.cue", declared("more", "edge", "public", "more.trello.acme.example")))
	if !soon(2*time.Second, func() bool { return b.records("acme.example")["more.trello.acme.example"] != "" }) {
		t.Error("the zone is not written to any more")
	}
	unknown.Remove()
	b.until("all is well", func() bool { return len(b.View().Steps) == 0 })
}

func TestHostileLostAnswerAndDrift(t *testing.T) {
	b := newBench(t)
	b.converged()
	lost := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Drop: world.AfterCommit})
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "a.trello.acme.example", "b.trello.acme.example")))
	b.until("the call was made", func() bool { return lost.Fired() > 0 })
	b.stop()
	lost.Remove()
	b.world.Put(b.zones["acme.example"], world.Simple("A", "a.trello.acme.example.", 5, "203.0.113.9"))
	b.start()
	if !soon(2*time.Second, func() bool {
		return strings.HasPrefix(b.records("acme.example")["a.trello.acme.example"], "192.0.2.10")
	}) {
		t.Errorf("the records are not ours: %v", b.View().Steps)
	}
	b.land(3, with(b.tree(), nextFile, gone))
	if !soon(2*time.Second, func() bool { return b.records("acme.example")["b.trello.acme.example"] == "" }) {
		t.Error("what we made is never removed")
	}
}

func TestHostileForcePushBackwards(t *testing.T) {
	b := newBench(t)
	b.converged()
	before := b.tree()
	b.land(3, with(before, trello, gone))
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.repository.commit(with(b.tree(), pingFile, pong("unrelated")))
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	back := len(b.repository.line)
	b.repository.commit(before)
	b.converged()
	b.repository.mu.Lock()
	b.repository.line = b.repository.line[:back]
	b.repository.mu.Unlock()
	if !b.waitsForPerson("acme.example", trelloHost) {
		t.Error("a deletion that nobody was shown was applied")
	}
}

// A force push backwards to what has no deletion converges by itself.
func TestHostileForcePushBackwardsConverges(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), pingFile, pong("forward")))
	b.converged()
	b.repository.mu.Lock()
	b.repository.line = b.repository.line[:1]
	b.repository.mu.Unlock()
	b.quiet()
}

const testZone = `
zones: "acme.test": {exposure: "public", id: "%s"}
`

func TestHostileLostAnswerInAZoneThatLeaves(t *testing.T) {
	b := newBench(t)
	b.zones["acme.test"] = b.world.Zone("acme.test")
	b.converged()
	before := b.tree()
	lost := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 1000, Drop: world.AfterCommit})
	b.repository.commit(with(before, zonesFile, func(s string) string { return s + fmt.Sprintf(testZone, b.zones["acme.test"]) }))
	b.until("the call was made", func() bool { return lost.Fired() > 0 })
	b.stop()
	lost.Remove()
	b.repository.commit(before)
	b.start()
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	if !soon(2*time.Second, func() bool { return b.View().Pending != "" }) {
		t.Error("nobody is told of the mark that was left in the zone")
	}
}

func TestHostileZoneWithAnIDIsRemoved(t *testing.T) {
	b := newBench(t)
	b.zones["acme.test"] = b.world.Zone("acme.test")
	b.world.Zone("acme.test")
	before := with(b.tree(), "platform/teams.cue", swap(`domains: ["trello.acme.example"]`, `domains: ["trello.acme.example", "acme.test"]`))
	b.repository.commit(with(with(before, zonesFile, func(s string) string { return s + fmt.Sprintf(testZone, b.zones["acme.test"]) }),
		nextFile, declared("next", "edge", "public", "next.acme.test")))
	b.converged()
	b.repository.commit(before)
	b.until("pending", func() bool { return b.View().Pending != "" })
	b.stop()
	b.start()
	b.until("pending again", func() bool { v := b.View(); return v.Pending != "" && v.Commit == b.repository.tip() })
	ok := soon(2*time.Second, func() bool {
		v := b.View()
		_ = b.Apply(context.Background(), reconciler.Apply{Digest: v.Pending, Identity: "ann", ConfirmDeletes: v.Deletes})
		return len(b.records("acme.test")) == 0
	})
	if !ok {
		t.Errorf("the zone is not emptied: %+v", b.View().Zones)
	}
}

// A zone leaves with its services; records there that are not ours stay.
func TestHostileZoneLeavesWithItsServices(t *testing.T) {
	b := newBench(t)
	b.world.Put(b.zones["acme.internal"], world.Simple("A", "theirs.acme.internal.", 60, "203.0.113.9"))
	b.short()
	dns := b.resolve()
	files := with(b.tree(), zonesFile, swap(`"acme.internal": exposure: "internal"`, ""))
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "services/") && strings.Contains(string(f.Data), `"internal"`) {
			files = with(files, f.Path, gone)
		}
	}
	b.land(3, files)
	b.until("emptied", func() bool { return len(b.records("acme.internal")) == 1 })
	b.until("routes gone", func() bool { _, ok := b.proxies.serves("automation.jira.acme.internal"); return !ok })
	for _, r := range b.world.Records(b.zones["acme.internal"]) {
		if r.Type == "TXT" {
			t.Error("the mark is left")
		}
	}
	dns.fine(t)
	b.quiet()
}

// A platform that cannot be used at a start holds everything as it was; a pull that mends it is planned and taken.
func TestHostileBrokenPlatformAtARestart(t *testing.T) {
	b := newBench(t)
	b.converged()
	good := b.tree()
	b.repository.commit(with(good, fleetsFile, func(s string) string { return s + "oops" }))
	b.until("frozen", func() bool { return b.View().Frozen })
	b.stop()
	b.start()
	b.until("frozen again", func() bool { return b.View().Frozen && len(b.View().Services) > 0 })
	b.world.Put(b.zones["acme.example"], world.Simple("A", "jira.acme.example.", 5, "203.0.113.9"))
	b.until("drift is healed", func() bool { return b.records("acme.example")["jira.acme.example"] == "192.0.2.10 192.0.2.11" })
	b.land(3, with(good, nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("mended", func() bool { return b.records("acme.example")["next.trello.acme.example"] != "" })
	b.quiet()
}

// Two pulls drop a name each of the same service, and both are merged before either is seen.
func TestHostileTwoPullsOnOneService(t *testing.T) {
	b := newBench(t)
	b.short()
	hosts := func(names ...string) func(string) string { return declared("next", "edge", "public", names...) }
	x, y, z := "x.trello.acme.example", "y.trello.acme.example", "z.trello.acme.example"
	b.repository.commit(with(b.tree(), nextFile, hosts(x, y, z)))
	b.converged()
	dns := b.resolve()
	b.show(3, with(b.tree(), nextFile, hosts(y, z)))
	b.show(4, with(b.tree(), nextFile, hosts(x, z)))
	online := b.offline()
	b.merge(3)
	b.forge.mu.Lock()
	p := b.forge.open[0]
	b.forge.open = nil
	p.Merged = b.repository.commit(with(b.tree(), nextFile, hosts(z)))
	b.forge.merged[p.Merged] = p
	b.forge.mu.Unlock()
	online()
	b.until("records gone", func() bool { r := b.records("acme.example"); return r[x]+r[y] == "" })
	b.until("the rest waits", func() bool { return b.View().Pending != "" })
	if err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("routes gone", func() bool { _, is := b.proxies.serves(schema.Hostname(x)); return !is })
	dns.fine(t)
	b.quiet()
}

// AWS refuses a batch once: the others and it go through.
func TestHostileRefusedOnce(t *testing.T) {
	b := newBench(t)
	b.converged()
	once := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "x.trello.acme.example", "y.trello.acme.example", "z.trello.acme.example")))
	b.until("refused", func() bool { return once.Fired() == 1 })
	b.quiet()
}

// One record is taken by somebody between the listing and the call; its neighbours are made.
func TestHostileOneOfSeveralIsTaken(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.world.Freeze(true)
	b.world.Put(b.zones["acme.example"], world.Simple("A", "y.trello.acme.example.", 60, "203.0.113.9"))
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "x.trello.acme.example", "y.trello.acme.example", "z.trello.acme.example")))
	b.until("neighbours", func() bool {
		r := b.records("acme.example")
		return r["x.trello.acme.example"] != "" && r["z.trello.acme.example"] != ""
	})
	b.world.Freeze(false)
	b.until("clash", func() bool {
		return slices.ContainsFunc(b.View().Services, func(s reconciler.ServiceView) bool { return s.ID == "next" && s.State == "held" })
	})
	if b.records("acme.example")["y.trello.acme.example"] != "203.0.113.9" {
		t.Error("what is not ours was changed")
	}
}

// A service is deleted while its zone cannot be reached, with a restart in between.
func TestHostileDeletedWhileUnreachable(t *testing.T) {
	b := newBench(t)
	b.short()
	dns := b.resolve()
	b.show(3, with(b.tree(), trello, gone))
	down := b.world.Inject(world.Fault{Times: 1_000_000, Status: 503, Code: "ServiceUnavailable", Message: "down"})
	b.merge(3)
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(100 * time.Millisecond)
	b.stop()
	b.start()
	b.until("taken again", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(100 * time.Millisecond)
	down.Remove()
	b.until("record gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	b.until("route gone", func() bool { _, ok := b.proxies.serves(trelloHost); return !ok })
	dns.fine(t)
	b.quiet()
}

// A record drifts as a commit changes it.
func TestHostileDriftAndChangeAtOnce(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	online := b.offline()
	b.show(3, with(b.tree(), trello, onTwo))
	b.world.Put(b.zones["acme.example"], world.Simple("A", trelloHost+".", 5, "203.0.113.9"))
	b.merge(3)
	online()
	b.until("moved", func() bool { return b.records("acme.example")[trelloHost] == twoAddress })
	b.quiet()
}

// What a person agreed to holds for that digest and count only.
func TestHostileStaleDigestAndCount(t *testing.T) {
	b := newBench(t)
	b.short()
	files := b.tree()
	for _, f := range b.tree() {
		if strings.HasPrefix(f.Path, "services/") && !strings.HasPrefix(f.Path, "services/trello") {
			files = with(files, f.Path, gone)
		}
	}
	b.repository.commit(files)
	b.until("vetoed", func() bool { return b.View().Deletes > 0 })
	old := b.View()
	b.repository.commit(with(files, pingFile, func(string) string { return string(find(b.repository.files(b.repository.line[0].Hash), pingFile)) }))
	b.until("fewer", func() bool {
		v := b.View()
		return v.Commit == b.repository.tip() && v.Deletes > 0 && v.Deletes < old.Deletes
	})
	now := b.View()
	for _, q := range []reconciler.Apply{{Digest: old.Pending, ConfirmDeletes: old.Deletes}, {Digest: old.Pending, ConfirmDeletes: now.Deletes},
		{Digest: now.Pending, ConfirmDeletes: old.Deletes}, {Digest: now.Pending}} {
		q.Identity = "ann"
		if err := b.Apply(t.Context(), q); err == nil {
			t.Errorf("taken: %+v", q)
		}
	}
	if n := len(b.records("acme.example")); n < 8 {
		t.Errorf("%d records are left", n)
	}
	if err := b.Apply(t.Context(), reconciler.Apply{Digest: now.Pending, ConfirmDeletes: now.Deletes, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.until("records gone", func() bool { return len(b.records("acme.example")) == 2 })
	b.quiet()
}

// Somebody else's deletion that comes with the next commit is not covered by an apply.
func TestHostileApplyCoversNothingElse(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.repository.commit(with(b.tree(), trello, gone))
	b.until("pending", func() bool { return b.View().Pending != "" })
	if err := b.Apply(t.Context(), reconciler.Apply{Digest: b.View().Pending, Identity: "ann"}); err != nil {
		t.Fatal(err)
	}
	b.repository.commit(with(b.tree(), "services/jira/jira-web.cue", gone))
	if !b.waitsForPerson("acme.example", "jira.acme.example") {
		t.Error("a deletion that nobody was shown was applied")
	}
	b.until("the first is gone", func() bool { return b.records("acme.example")[trelloHost] == "" })
	if s := b.View().Steps; !slices.ContainsFunc(s, func(s reconciler.StepView) bool { return s.Verb == plan.Delete && s.State == reconciler.Approval }) {
		t.Errorf("steps %v", s)
	}
}

func TestHostileRecordsMoveToAZoneThatIsNotThere(t *testing.T) {
	b := newBench(t)
	b.converged()
	b.land(3, with(b.tree(), zonesFile, func(s string) string { return s + "\nzones: \"trello.acme.example\": exposure: \"public\"\n" }))
	b.until("taken", func() bool { return b.View().Commit == b.repository.tip() })
	time.Sleep(300 * time.Millisecond)
	if b.records("acme.example")[trelloHost] == "" {
		t.Error("the name is gone, and its new zone is not there")
	}
}

func TestHostileAddressFamilyChanges(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, func(s string) string { return strings.Replace(twoFleets(s), twoAddress, "2001:db8::2", 1) }))
	b.converged()
	b.proxies.acknowledge(false)
	b.land(3, with(b.tree(), trello, onTwo))
	b.until("published", func() bool { return b.answers("two", "public", trelloHost) })
	time.Sleep(200 * time.Millisecond)
	if b.records("acme.example")[trelloHost] == "" {
		t.Error("the name is gone, and its new address is not there")
	}
}

func TestHostileRenamedEdge(t *testing.T) {
	b := newBench(t)
	b.converged()
	fault := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 2, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.repository.commit(with(b.tree(), "platform/acme.cue", swap(`"acme"`, `"acme-two"`)))
	b.until("refused", func() bool { return fault.Fired() == 2 })
	if !soon(3*time.Second, func() bool {
		for _, r := range b.world.Records(b.zones["acme.example"]) {
			if r.Type == "TXT" && strings.Contains(fmt.Sprint(r.Values()), "acme-two") {
				return true
			}
		}
		return false
	}) {
		t.Error("the mark keeps the old name")
	}
}

func TestHostileInventoryForgets(t *testing.T) {
	b := newBench(t)
	b.short()
	b.land(3, with(b.tree(), trello, gone))
	b.until("route gone", func() bool { _, ok := b.proxies.serves(trelloHost); return !ok })
	time.Sleep(1200 * time.Millisecond) // a sweep
	entries, err := state.Inventory{Store: b.store}.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for key, e := range entries {
		if e.Spec == nil {
			t.Errorf("%s is kept, which is gone since %v", key, e.Gone)
		}
	}
}

func TestHostileMendedRecordDoesNotWait(t *testing.T) {
	b := newBench(t)
	b.repository.commit(with(b.tree(), fleetsFile, twoFleets))
	b.converged()
	refused := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", Times: 2, Status: 400, Code: "InvalidChangeBatch", Message: "[no]"})
	b.repository.commit(with(b.tree(), nextFile, declared("next", "edge", "public", "next.trello.acme.example")))
	b.until("refused twice", func() bool { return refused.Fired() == 2 })
	b.repository.commit(with(b.tree(), nextFile, declared("next", "two", "public", "next.trello.acme.example")))
	if !soon(time.Second, func() bool { return b.records("acme.example")["next.trello.acme.example"] == twoAddress }) {
		t.Error("another record of that name was not tried")
	}
}
