package reconciler

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/aws/route53"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "play this seed alone, and tell what happens")
	simSeeds = flag.Int("sim.seeds", 500, "seeds to play")
	simFrom  = flag.Uint64("sim.from", 1, "the first of them")
	simStop  = flag.Int("sim.stop", 5, "stop after so many that failed")
)

// kinds are what a run of many seeds must have met, each at least once.
var kinds = []string{
	"commit", "merge", "direct push", "many services go", "declaration is broken", "name moves", "service goes", "service changes its fleet", "fleet changes its ttl",
	"record changed by hand", "record deleted by hand", "foreign record", "clash",
	"throttled", "unavailable", "lost request", "lost reply", "listing is stale", "forge does not answer",
	"crash", "crash before a write of the store", "crash after a write of the store", "request outlives its process", "request expired",
	"clock jumps ahead", "proxy comes back", "proxy goes away", "applied by a person", "wrong digest refused", "guard asks for a count",
}

// TestSimulation plays the reconciler against a strict Route53, with time, chance and the order of everything in the hands of a seed.
// Each seed has 20 services and more in 3 zones and 200 events; whatever happens is checked as it happens, and at the end everything
// must have come to what is declared.
func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		s := newSim(t, *simSeed, slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug})))
		if fault := s.play(); fault != nil {
			t.Fatal(fault)
		}
		return
	}
	var mu sync.Mutex
	met, failed := map[string]int{}, 0
	seeds := make(chan uint64)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := range seeds {
				s := newSim(t, seed, slog.New(slog.DiscardHandler))
				fault := s.play()
				mu.Lock()
				if fault != nil {
					failed++
					t.Errorf("seed %d: %v\nto see it: go test ./reconciler -run TestSimulation -sim.seed %d", seed, fault, seed)
				}
				for kind, n := range s.met {
					met[kind] += n
				}
				mu.Unlock()
			}
		})
	}
	for seed := *simFrom; seed < *simFrom+uint64(*simSeeds); seed++ {
		mu.Lock()
		enough := failed >= *simStop
		mu.Unlock()
		if enough {
			break
		}
		seeds <- seed
	}
	close(seeds)
	workers.Wait()
	for _, kind := range kinds {
		t.Logf("%7d  %s", met[kind], kind)
		if met[kind] == 0 && *simSeeds >= 100 {
			t.Errorf("it never came to: %s", kind)
		}
	}
}

// sim is one world with its people, its proxies and its daemon. Everything that happens, happens in one goroutine at a time, in an order
// that follows from the seed.
type sim struct {
	*rand.Rand
	t     *testing.T
	seed  uint64
	log   *slog.Logger
	clock *world.Clock
	world *world.World
	zones map[string]string // name → id
	rows  *rows

	branch   []revision
	pulls    map[int]*proposal
	serial   int // of pulls, hosts and texts
	leader   *leader
	tasks    []*task
	current  *task
	turn     chan struct{}
	nodes    []*node
	trouble  int  // percent of requests that meet a fault
	crashIn  int  // points until the next crash; 0: none is due
	frozen   bool // listings show what was there at frozenAt
	frozenAt time.Time

	foreign map[string]string  // records of others, by zone, type and name, as last written
	cached  map[lead]time.Time // until when a resolver may believe in an answer
	ttls    map[lead]int64
	before  map[lead]time.Time // until when the answer of before its TTL was changed may be believed
	touched map[string]bool    // records of ours that somebody changed
	made    map[string]bool    // records that we made and did not take away
	agreed  map[string]bool    // steps that somebody was shown before they became the branch's
	intents map[string]int     // writes by their intent
	calls   map[string]int
	met     map[string]int
	faults  []string
}

// lead is that a host name leads to an address.
type lead struct {
	zone, host, address string
}

// revision is a commit of the branch.
type revision struct {
	commit Commit
	decl   declarations
	pull   int // that it came from; 0: none
}

// proposal is an open pull.
type proposal struct {
	number int
	edit   func(declarations) declarations
	shown  *state.Plan // as it stands on the pull
}

// leader is a process of the daemon.
type leader struct {
	*loop
	r      *Reconciler
	stop   context.CancelFunc
	mail   []any
	posts  []posting
	loaded string // the commit that it was told last
	listed string // the pulls that it was told last
}

func newSim(t *testing.T, seed uint64, log *slog.Logger) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, seed: seed, log: log, clock: world.NewClock(), zones: map[string]string{}, pulls: map[int]*proposal{},
		turn: make(chan struct{}), foreign: map[string]string{}, cached: map[lead]time.Time{}, ttls: map[lead]int64{}, before: map[lead]time.Time{}, touched: map[string]bool{}, made: map[string]bool{}, agreed: map[string]bool{}, intents: map[string]int{},
		calls: map[string]int{}, met: map[string]int{}}
	s.rows = &rows{sim: s, tables: map[string]map[string]state.Item{}}
	options := world.Options{Now: s.clock.Now, Settle: time.Duration(s.IntN(40)) * time.Second}
	if s.chance(30, 100) {
		options.Rate, options.Burst = 5, 5
	}
	s.world = world.New(options)
	for _, z := range zoneNames {
		s.zones[z] = s.world.Zone(z)
	}
	for _, f := range []schema.FleetID{"edge", "edge", "two"} {
		s.nodes = append(s.nodes, &node{fleet: f, connected: true})
	}
	s.branch = []revision{{commit: Commit{Hash: "c0"}, decl: s.firstDeclarations()}}
	s.start()
	return s
}

func (s *sim) chance(n, of int) bool { return s.IntN(of) < n }

func (s *sim) count(kind string) { s.met[kind]++ }

func (s *sim) tip() revision { return s.branch[len(s.branch)-1] }

// fail notes that something is wrong. What follows may be told because of it.
func (s *sim) fail(format string, args ...any) {
	fault := fmt.Sprintf(format, args...)
	s.log.Error("FAULT " + fault)
	if len(s.faults) < 5 {
		s.faults = append(s.faults, fault)
	}
}

// start starts a process on what the last one left.
func (s *sim) start() {
	ctx, stop := context.WithCancel(context.Background())
	provider := route53.New(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String("http://route53.test"), HTTPClient: s,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Retryer: func() aws.Retryer { return aws.NopRetryer{} }})
	provider.Now = s.clock.Now
	r := New(Config{Log: s.log, Now: s.clock.Now, Repository: people{s}, Provider: provider, Proxies: &fleets{sim: s, published: map[schema.FleetID]xds.Release{}},
		Forge: people{s}, Books: BooksOf(s.rows), Metrics: NewMetrics(prometheus.NewRegistry()),
		Every: Every{Tell: 2 * time.Second}})
	l := &leader{r: r, stop: stop}
	s.leader = l
	s.alive(func() error {
		l.loop = newLoop(ctx, r)
		l.aside = func(_ context.Context, work func() any) { s.spawn(l, work) }
		return l.restore(ctx)
	})
}

// alive lets the daemon do something, and starts it again should it die of it.
func (s *sim) alive(do func() error) {
	defer func() {
		switch p := recover(); {
		case p == nil:
		case errors.Is(asError(p), errKilled):
			s.crash()
		default:
			panic(p)
		}
	}()
	if err := do(); err != nil {
		s.fail("the daemon: %v", err)
	}
}

func asError(p any) error {
	err, _ := p.(error)
	return err
}

// crash ends the process wherever it is. Requests that are on their way may still reach the world.
func (s *sim) crash() {
	s.count("crash")
	s.log.Info("CRASH")
	s.crashIn = 0
	s.leader.stop()
	old := s.leader
	s.leader = nil
	for _, t := range slices.Clone(s.tasks) {
		if t.of == old {
			f := dies
			if s.chance(1, 2) {
				f = asksThenDies
			}
			s.step(t, f)
		}
	}
	for _, n := range s.nodes {
		n.connected = false
	}
	s.start()
}

// crashPoint is where a process can die.
func (s *sim) crashPoint(where string) {
	if s.crashIn == 0 {
		return
	}
	if s.crashIn--; s.crashIn == 0 {
		s.count("crash " + where)
		panic(errKilled)
	}
}

// tell gives the loop a message, as its select would.
func (s *sim) tell(m any) {
	l := s.leader
	s.alive(func() error {
		if m != nil {
			l.take(l.ctx, m)
		}
		err := l.pass(l.ctx)
		for one, any := l.r.posts.next(); any; one, any = l.r.posts.next() {
			l.posts = append(l.posts, one)
		}
		return err
	})
}

// fault is what goes wrong with a request, if anything.
func (s *sim) fault(operation string) string {
	if s.frozen && operation == "ListResourceRecordSets" {
		s.count("listing is stale")
	}
	if !s.chance(s.trouble, 100) {
		return ""
	}
	kind := []string{"throttled", "unavailable", "lost request", "lost reply"}[s.IntN(4)]
	s.count(kind)
	return kind
}

// play lets 200 events happen and then waits until nothing is left to do.
func (s *sim) play() error {
	defer s.end()
	for n := 0; n < 200 && len(s.faults) == 0; n++ {
		s.event()
		for range s.IntN(8) {
			s.progress()
		}
	}
	if len(s.faults) == 0 {
		s.settle()
	}
	if len(s.faults) > 0 {
		return errors.New(strings.Join(s.faults, "\n"))
	}
	return nil
}

// end stops what is left.
func (s *sim) end() {
	s.leader.stop()
	s.leader = nil
	for len(s.tasks) > 0 {
		s.step(s.tasks[0], dies)
	}
}

// advance moves the clock. A listing is not stale for long.
func (s *sim) advance(d time.Duration) {
	s.clock.Advance(d)
	if s.frozen && s.clock.Now().Sub(s.frozenAt) > staleness-time.Second {
		s.frozen = false
		s.world.Freeze(false)
	}
}

// event is something that people, machines or chance do.
func (s *sim) event() {
	switch n := s.IntN(100); {
	case n < 12:
		s.propose()
	case n < 22:
		s.merge()
	case n < 28:
		s.count("direct push")
		s.push(s.anyEdit(), 0)
	case n < 29:
		s.count("many services go")
		s.push(s.massacre(), 0)
	case n < 36:
		s.handMade()
	case n < 46:
		s.proxyMoves()
	case n < 52:
		s.apply()
	case n < 56:
		s.trouble = []int{0, 0, 5, 20, 60}[s.IntN(5)]
	case n < 59:
		s.frozen, s.frozenAt = !s.frozen, s.clock.Now()
		s.world.Freeze(s.frozen)
	case n < 64:
		s.crashIn = 1 + s.IntN(12)
	case n < 67:
		s.crash()
	case n < 69:
		s.count("clock jumps ahead")
		s.advance(time.Duration(s.IntN(1200)) * time.Second)
	default:
		s.advance(time.Duration(s.IntN(3000)) * time.Millisecond)
		s.tell(nil)
	}
}

// progress lets one thing that is under way go on.
func (s *sim) progress() {
	l := s.leader
	switch n := s.IntN(10); {
	case n < 4 && len(s.tasks) > 0:
		s.step(s.tasks[s.IntN(len(s.tasks))], goesOn)
	case n < 7 && len(l.mail) > 0:
		i := s.IntN(len(l.mail))
		if _, is := l.mail[i].(posted); is { // they come from one goroutine, in their order
			i = slices.IndexFunc(l.mail, func(m any) bool { _, is := m.(posted); return is })
		}
		m := l.mail[i]
		l.mail = slices.Delete(l.mail, i, i+1)
		s.tell(m)
	case n < 8 && len(l.posts) > 0:
		s.post()
	case n < 9:
		s.fetch()
	default:
		s.proxyTakes(s.nodes[s.IntN(len(s.nodes))])
	}
}

// fetch tells the loop of the branch and of the pulls, where they moved.
func (s *sim) fetch() {
	l, tip := s.leader, s.tip()
	if l.loaded != tip.commit.Hash {
		l.loaded = tip.commit.Hash
		loaded, tree := tip.decl.load()
		before := l.edge
		s.tell(branchLoaded{commit: tip.commit, files: tree, loaded: loaded, seen: s.clock.Now()})
		for _, id := range sortedKeys(tip.decl.broken) {
			was, existed := before.Service(id)
			if is, still := s.leader.edge.Service(id); s.leader == l && existed && (!still || !is.Same(was)) {
				s.fail("%s cannot be read, and is not in effect as it was (invariant 7)", id)
			}
		}
		return
	}
	var open []pullLoaded
	listed := tip.commit.Hash
	for _, n := range sortedKeys(s.pulls) {
		loaded, tree := s.pulls[n].edit(tip.decl).load()
		open = append(open, pullLoaded{pull: forge.Pull{Number: n, Head: fmt.Sprint("head-", n)}, base: tip.commit.Hash, files: &tree, loaded: loaded})
		listed += fmt.Sprint(" ", n)
	}
	if l.listed != listed {
		l.listed = listed
		s.tell(pullsLoaded{open: open, listed: true})
	}
}

// post puts a review on its pull: from then on people can see the plan.
func (s *sim) post() {
	l := s.leader
	one := l.posts[0]
	l.posts = l.posts[1:]
	l.r.posts.stands(one)
	if one.plan == nil {
		return
	}
	p := s.pulls[one.target.Pull]
	if p == nil { // it was merged before: the forge says so
		return
	}
	p.shown = one.plan
	l.mail = append(l.mail, posted{*one.plan})
}

// propose opens a pull.
func (s *sim) propose() {
	if len(s.pulls) >= 4 {
		return
	}
	s.serial++
	s.pulls[s.serial] = &proposal{number: s.serial, edit: s.anyEdit()}
}

// merge merges a pull. What was shown on it is agreed to, if it was shown for the very tree that the branch gets or for some of its steps.
func (s *sim) merge() {
	if len(s.pulls) == 0 {
		return
	}
	numbers := sortedKeys(s.pulls)
	p := s.pulls[numbers[s.IntN(len(numbers))]]
	delete(s.pulls, p.number)
	if p.shown != nil {
		for _, step := range p.shown.Steps {
			s.agreed[step.ID()] = true
			s.log.Debug("  agreed", "verb", step.Verb, "key", step.Key, "before", string(step.Before), "id", step.ID())
		}
	}
	s.count("merge")
	s.log.Debug("MERGE", "pull", p.number, "shown", p.shown != nil)
	s.push(p.edit, p.number)
}

// push puts a commit on the branch.
func (s *sim) push(edit func(declarations) declarations, pull int) {
	s.count("commit")
	next := edit(s.tip().decl)
	s.branch = append(s.branch, revision{commit: Commit{Hash: fmt.Sprintf("c%d", len(s.branch))}, decl: next, pull: pull})
	if len(next.broken) > 0 {
		s.count("declaration is broken")
	}
}

// apply is a person who looks at what waits, and agrees to it.
func (s *sim) apply() {
	l := s.leader
	steps, digest := l.pending()
	if len(steps) == 0 {
		return
	}
	count := 0
	for _, v := range l.vetoes {
		count = max(count, v.Deletes)
	}
	if s.chance(1, 5) {
		s.refused(Apply{Digest: digest + "0", ConfirmDeletes: count, Identity: "mallory"}, "a digest that nobody has seen was applied")
		s.count("wrong digest refused")
		return
	}
	if count > 0 {
		s.count("guard asks for a count")
		s.refused(Apply{Digest: digest, ConfirmDeletes: count + 1, Identity: "ann"}, "a wrong count was taken")
	}
	if s.leader != l { // it died of the question
		return
	}
	for _, step := range steps {
		s.agreed[step.ID()] = true
	}
	s.alive(func() error {
		return l.applyDigest(l.ctx, Apply{Digest: digest, ConfirmDeletes: count, Identity: "ann"})
	})
	s.count("applied by a person")
	s.tell(nil)
}

// refused holds that the daemon does not do what it is asked.
func (s *sim) refused(q Apply, otherwise string) {
	s.alive(func() error {
		if err := s.leader.applyDigest(s.leader.ctx, q); err == nil {
			s.fail("%s", otherwise)
		}
		return nil
	})
}

// proxyMoves lets a proxy come or go.
func (s *sim) proxyMoves() {
	n := s.nodes[s.IntN(len(s.nodes))]
	if n.connected && s.chance(1, 2) {
		s.count("proxy goes away")
		n.connected = false
		return
	}
	s.proxyTakes(n)
}

// proxyTakes lets a proxy take what its fleet is served, connecting it first.
func (s *sim) proxyTakes(n *node) {
	r, published := s.leader.Proxies.(*fleets).published[n.fleet]
	if !published {
		return
	}
	if !n.connected {
		s.count("proxy comes back")
	}
	n.has, n.connected = r, true
	s.checkProxy(n)
	l := s.leader
	s.alive(func() error { l.takeAcknowledgements(l.ctx); return l.pass(l.ctx) })
}

// handMade is somebody who changes a zone without the daemon.
func (s *sim) handMade() {
	zone := zoneNames[s.IntN(len(zoneNames))]
	switch n := s.IntN(6); {
	case n < 2:
		s.serial++
		name := fmt.Sprintf("foreign-%d.%s", s.serial, zone)
		if n == 0 { // in the way of a host that may be declared later
			if free := s.absent(zone); len(free) > 0 {
				name = string(free[s.IntN(len(free))])
				s.count("clash")
			}
		}
		s.count("foreign record")
		s.putForeign(zone, world.Simple("A", name, 60, fmt.Sprintf("203.0.113.%d", s.IntN(200))))
	default:
		ours := s.ours(zone)
		if len(ours) == 0 {
			return
		}
		r := ours[s.IntN(len(ours))]
		if n == 2 {
			s.count("record deleted by hand")
			s.byHand(zone, "DELETE", r)
			return
		}
		s.count("record changed by hand")
		s.byHand(zone, "UPSERT", world.Simple(r.Type, r.Name, 60, fmt.Sprintf("203.0.113.%d", s.IntN(200))))
	}
}

// settle ends all trouble and waits until nothing is left to do.
func (s *sim) settle() {
	s.trouble, s.crashIn, s.frozen = 0, 0, false
	s.world.Freeze(false)
	for _, n := range sortedKeys(s.pulls) {
		delete(s.pulls, n)
	}
	s.push(func(d declarations) declarations { return d.mended() }, 0)
	calm := 0
	for n := 0; calm < 3 && len(s.faults) == 0; n++ {
		if n == 400 {
			s.stuck()
			return
		}
		before := len(s.world.Writes())
		for s.leader.loaded != s.tip().commit.Hash {
			s.fetch()
		}
		for len(s.tasks) > 0 {
			s.step(s.tasks[0], goesOn)
		}
		for len(s.leader.mail) > 0 {
			m := s.leader.mail[0]
			s.leader.mail = s.leader.mail[1:]
			s.tell(m)
		}
		for _, n := range s.nodes {
			s.proxyTakes(n)
		}
		s.apply()
		s.removeClashes()
		s.advance(max(s.leader.untilNext(), time.Duration(1+n/20)*time.Second)) // ever longer: a call in doubt takes its time
		s.tell(nil)
		if len(s.leader.steps)+len(s.leader.flights) == 0 && len(s.world.Writes()) == before && s.converged() {
			calm++
		} else {
			calm = 0
		}
	}
	if len(s.faults) == 0 {
		s.checkEnd()
	}
}

func (s *sim) stuck() {
	l := s.leader
	s.fail("it never comes to rest: %d steps, %d flights, %d tasks, %d messages, unknown %d, clashes %d", len(l.steps), len(l.flights), len(s.tasks), len(l.mail), len(l.unknown), len(l.clashes))
	for _, step := range l.sortedSteps() {
		s.fail("%s %s: %+v", step.Verb, step.Key, l.status[step.Key])
	}
	for _, id := range sortedKeys(l.flights) {
		f := l.flights[id]
		s.fail("flight %s of %s: token %q, doubt %v, asking %v, started %s ago", id, f.intent.Scope, f.intent.Token, f.doubt, f.asking, s.clock.Now().Sub(f.started))
	}
	for _, key := range sortedKeysFunc(l.clashes, resource.Key.Compare) {
		s.fail("clash %s", l.clashes[key])
	}
	s.fail("difference: %s", s.difference())
}

// Declarations.

var zoneNames = []string{"acme.example", "shop.example", "acme.internal"}

// declarations are what the branch says. They are values: an edit makes new ones.
type declarations struct {
	services map[schema.ServiceID]declaration
	fleets   map[schema.FleetID]int // ttl in seconds
	broken   map[schema.ServiceID]bool
}

type declaration struct {
	hosts    []schema.Hostname
	exposure schema.Exposure
	fleet    schema.FleetID
	text     int
}

func (d declarations) clone() declarations {
	out := declarations{map[schema.ServiceID]declaration{}, map[schema.FleetID]int{}, map[schema.ServiceID]bool{}}
	for id, x := range d.services {
		x.hosts = slices.Clone(x.hosts)
		out.services[id] = x
	}
	for id, ttl := range d.fleets {
		out.fleets[id] = ttl
	}
	for id := range d.broken {
		out.broken[id] = true
	}
	return out
}

func (d declarations) mended() declarations {
	out := d.clone()
	clear(out.broken)
	return out
}

func exposureOf(zone string) schema.Exposure {
	if zone == "acme.internal" {
		return schema.Internal
	}
	return schema.Public
}

// free are the host names of a zone that no service has.
func (d declarations) free(zone string) []schema.Hostname {
	var out []schema.Hostname
	for i := range 16 {
		h := schema.Hostname(fmt.Sprintf("h%d.%s", i, zone))
		if !slices.ContainsFunc(sortedKeys(d.services), func(id schema.ServiceID) bool { return slices.Contains(d.services[id].hosts, h) }) {
			out = append(out, h)
		}
	}
	return out
}

func (s *sim) firstDeclarations() declarations {
	d := declarations{map[schema.ServiceID]declaration{}, map[schema.FleetID]int{"edge": 5 + s.IntN(60), "two": 5 + s.IntN(60)}, map[schema.ServiceID]bool{}}
	for range 20 + s.IntN(4) {
		d = s.newService()(d)
	}
	return d
}

func (s *sim) newService() func(declarations) declarations {
	s.serial++
	id, zone, pick, fleet := schema.ServiceID(fmt.Sprintf("s%d", s.serial)), zoneNames[s.IntN(len(zoneNames))], s.IntN(100), schema.FleetID("edge")
	if s.chance(1, 3) {
		fleet = "two"
	}
	return func(d declarations) declarations {
		out := d.clone()
		if free := d.free(zone); len(free) > 0 {
			out.services[id] = declaration{hosts: []schema.Hostname{free[pick%len(free)]}, exposure: exposureOf(zone), fleet: fleet}
		}
		return out
	}
}

// massacre takes half of the services away.
func (s *sim) massacre() func(declarations) declarations {
	from := s.IntN(2)
	return func(d declarations) declarations {
		out := d.mended()
		for i, id := range sortedKeys(d.services) {
			if i%2 == from {
				delete(out.services, id)
			}
		}
		return out
	}
}

// anyEdit is a change that can be made to any declarations.
func (s *sim) anyEdit() func(declarations) declarations {
	kind, a, b, c := s.IntN(20), s.IntN(1000), s.IntN(1000), s.IntN(1000)
	if kind < 4 {
		return s.newService()
	}
	pick := func(d declarations, n int) schema.ServiceID {
		ids := sortedKeys(d.services)
		if len(ids) == 0 {
			return ""
		}
		return ids[n%len(ids)]
	}
	return func(d declarations) declarations {
		out := d.mended()
		id := pick(d, a)
		x, there := out.services[id]
		if !there {
			return out
		}
		switch {
		case kind < 7:
			s.count("service goes")
			delete(out.services, id)
			return out
		case kind < 9: // another name
			zone := zoneNames[b%len(zoneNames)]
			if free := d.free(zone); len(free) > 0 && exposureOf(zone) == x.exposure {
				x.hosts = append(x.hosts, free[c%len(free)])
			}
		case kind < 11: // a name less
			if len(x.hosts) > 1 {
				x.hosts = slices.Delete(x.hosts, b%len(x.hosts), b%len(x.hosts)+1)
			}
		case kind < 14: // a name moves
			to := pick(d, b)
			if y := out.services[to]; to != id && y.exposure == x.exposure {
				s.count("name moves")
				i := c % len(x.hosts)
				y.hosts = append(y.hosts, x.hosts[i])
				x.hosts = slices.Delete(x.hosts, i, i+1)
				out.services[to] = y
				if len(x.hosts) == 0 {
					delete(out.services, id)
					return out
				}
			}
		case kind < 16:
			s.count("service changes its fleet")
			x.fleet = map[schema.FleetID]schema.FleetID{"edge": "two", "two": "edge"}[x.fleet]
		case kind < 17:
			s.count("fleet changes its ttl")
			out.fleets["edge"] = 5 + b%60
		case kind < 18:
			out.broken[id] = true
		default:
			x.text = b
		}
		out.services[id] = x
		return out
	}
}

func (d declarations) platform() schema.Platform {
	p := schema.Platform{Name: "acme"}
	for _, id := range []schema.FleetID{"edge", "two"} {
		p.Fleets = append(p.Fleets, schema.Fleet{ID: id, Listeners: []schema.Listener{{Exposure: schema.Internal, Port: 8081}, {Exposure: schema.Public, Port: 8080}},
			Addresses: []netip.Addr{netip.MustParseAddr(addressOf[id])}, TTL: schema.Duration(d.fleets[id]) * schema.Duration(time.Second)})
	}
	for _, z := range zoneNames {
		p.Zones = append(p.Zones, schema.Zone{Name: schema.Hostname(z), Exposure: exposureOf(z)})
	}
	slices.SortFunc(p.Zones, func(a, b schema.Zone) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return p
}

var addressOf = map[schema.FleetID]string{"edge": "192.0.2.10", "two": "192.0.2.20"}

func (d declarations) service(id schema.ServiceID) schema.Service {
	x := d.services[id]
	return schema.Service{ID: id, Owner: schema.Owner{Team: "t"}, Hosts: x.hosts, Exposure: x.exposure, Fleet: x.fleet,
		Routes: []schema.Route{{Name: "all", Action: schema.Respond{Status: 200, Body: fmt.Sprint(id, " ", x.text)}}}}
}

// load is what evaluating the declarations gives.
func (d declarations) load() (load.Commit, Tree) {
	c := load.Commit{Edge: schema.Edge{Platform: d.platform()}}
	var files []load.File
	for _, id := range sortedKeys(d.services) {
		path := fmt.Sprintf("services/t/%s.cue", id)
		files = append(files, load.File{Path: path, Data: fmt.Appendf(nil, "%+v %v", d.services[id], d.broken[id])})
		if d.broken[id] {
			c.Unread = append(c.Unread, load.File{Path: path, Data: fmt.Appendf(nil, "%v", d.services[id].hosts)})
			c.Problems = append(c.Problems, schema.Problem{Code: "cue/syntax", Holds: schema.Holding(id), Position: schema.Position{File: path, Line: 1, Column: 1}, Message: "this is not CUE"})
			continue
		}
		c.Edge.Services = append(c.Edge.Services, d.service(id))
	}
	files = append(files, load.File{Path: "platform/p.cue", Data: fmt.Appendf(nil, "%v", d.fleets)})
	return c, TreeOf(files)
}

// TestSimulationReplays holds that a seed is all that a run depends on: what is written, and what is logged, is the same each time.
func TestSimulationReplays(t *testing.T) {
	plain := &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}
	for seed := range uint64(12) {
		var runs [2]bytes.Buffer
		for i := range runs {
			s := newSim(t, seed+1, slog.New(slog.NewTextHandler(&runs[i], plain)))
			if fault := s.play(); fault != nil {
				t.Error(seed+1, fault)
			}
		}
		if diff := cmp.Diff(strings.Split(runs[0].String(), "\n"), strings.Split(runs[1].String(), "\n")); diff != "" {
			t.Errorf("seed %d goes another way the second time:\n%.3000s", seed+1, diff)
		}
	}
}
