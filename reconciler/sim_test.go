package reconciler

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

var (
	simSeed  = flag.Uint64("sim.seed", 0, "play this seed alone, and tell what happens")
	simSeeds = flag.Int("sim.seeds", 500, "seeds to play")
	simFrom  = flag.Uint64("sim.from", 1, "the first of them")
	simStop  = flag.Int("sim.stop", 5, "stop after so many that failed")
	simKeep  = flag.Bool("sim.keep", true, "keep seeds that fail in "+keptSeeds+", to be played first from then on")
)

// keptSeeds is a file of seeds that failed once, a line each, with what it was.
const keptSeeds = "testdata/sim-seeds.txt"

// enough is how many seeds must have met all kinds.
const enough = 500

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
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // a third of the time would go to it
	met := playSeeds(t)
	reportMet(t, met)
	for _, kind := range kinds() {
		if met[kind] == 0 && *simSeeds >= enough {
			t.Errorf("it never came to: %s", kind)
		}
	}
}

// reportMet tells how often each kind was met, also in a file where one is named: go test keeps to itself what a test says that passes.
func reportMet(t *testing.T, met map[string]int) {
	var report strings.Builder
	for _, kind := range sortedKeys(met) {
		t.Logf("%7d  %s", met[kind], kind)
		fmt.Fprintf(&report, "%7d  %s\n", met[kind], kind)
	}
	if file := os.Getenv("EDGEWRIGHT_SIM_REPORT"); file != "" {
		if err := os.WriteFile(file, []byte(report.String()), 0o600); err != nil {
			t.Error(err)
		}
	}
}

// playSeeds plays all seeds, on all processors, and counts what they met.
func playSeeds(t *testing.T) map[string]int {
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
					keep(t, seed, fault)
				}
				for kind, n := range s.met {
					met[kind] += n
				}
				mu.Unlock()
			}
		})
	}
	more := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return failed < *simStop
	}
	for _, seed := range kept(t) {
		seeds <- seed
	}
	for seed := *simFrom; seed < *simFrom+uint64(*simSeeds) && more(); seed++ {
		seeds <- seed
	}
	close(seeds)
	workers.Wait()
	return met
}

// kept are the seeds that failed once.
func kept(t *testing.T) []uint64 {
	if !*simKeep {
		return nil
	}
	data, err := os.ReadFile(keptSeeds)
	if err != nil {
		t.Fatal(err)
	}
	var seeds []uint64
	for line := range strings.Lines(string(data)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if seed, err := strconv.ParseUint(word, 10, 64); err == nil {
			seeds = append(seeds, seed)
		} else if word != "#" {
			t.Errorf("%s: %q is no seed", keptSeeds, word)
		}
	}
	return seeds
}

// keep makes a seed that failed a test from now on.
func keep(t *testing.T, seed uint64, fault error) {
	if !*simKeep || slices.Contains(kept(t), seed) {
		return
	}
	what, _, _ := strings.Cut(fault.Error(), "\n")
	f, err := os.OpenFile(keptSeeds, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d %s\n", seed, what)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Logf("the seed is not kept: %v", err)
	}
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

// sim is one world with its people, its proxies and its daemon. Everything that happens, happens in one goroutine at a time, in an order
// that follows from the seed.
type sim struct {
	*rand.Rand
	t       *testing.T
	seed    uint64
	log     *slog.Logger
	clock   *world.Clock
	world   *world.World
	options world.Options
	zones   map[string]string // name → id
	rows    *rows

	branch    []revision
	pulls     map[int]*proposal
	serial    int // of pulls, hosts and texts
	processes [2]*process
	leader    *process // who took the lease last; nil: it has ended
	started   int
	seesEnds  bool          // processes know of each other when one has ended
	wrong     time.Duration // of the wall clock
	tasks     []*task
	current   *task
	turn      chan struct{}
	nodes     []*node
	trouble   int  // percent of requests that meet a fault
	crashIn   int  // points until the next crash; 0: none is due
	sleepIn   int  // likewise until a process falls asleep
	calm      bool // nothing goes wrong any more
	frozen    bool // listings show what was there at frozenAt
	frozenAt  time.Time

	denied    bool            // the second account lets nobody in
	waits     []time.Duration // until zones are listed again that were listed together
	waitsFrom time.Time       // when that was
	together  bool            // all of those before were listed again at one time

	looked    map[string]bool    // contents that a validator was asked about; nil: there is none
	others    map[string]bool    // health checks of others, by id
	dropped   map[string]bool    // health checks of ours that somebody deleted, by id
	foreign   map[string]string  // records of others, by zone, type and name, as last written
	cached    map[lead]time.Time // until when a resolver may believe in an answer
	ttls      map[lead]int64
	before    map[lead]time.Time // until when the answer of before its TTL was changed may be believed
	touched   map[string]bool    // records of ours that somebody changed
	made      map[string]bool    // records that we made and did not take away
	agreed    map[string]bool    // steps that somebody was shown before they became the branch's
	confirmed map[string]bool    // likewise by their count; and what services may let go of, as service and name
	forgotten map[string]bool    // records of others that were ours until somebody let go of them
	intents   map[string]int     // writes by their intent
	calls     map[string]int
	met       map[string]int
	faults    []string
}

func newSim(t *testing.T, seed uint64, log *slog.Logger, prepare ...func(*sim)) *sim {
	s := &sim{Rand: rand.New(rand.NewPCG(seed, 1)), t: t, seed: seed, log: log, clock: world.NewClock(), zones: map[string]string{}, pulls: map[int]*proposal{},
		turn: make(chan struct{}), others: map[string]bool{}, dropped: map[string]bool{}, foreign: map[string]string{}, cached: map[lead]time.Time{}, ttls: map[lead]int64{}, before: map[lead]time.Time{}, touched: map[string]bool{}, made: map[string]bool{}, agreed: map[string]bool{}, confirmed: map[string]bool{}, forgotten: map[string]bool{}, intents: map[string]int{},
		calls: map[string]int{}, met: map[string]int{}}
	s.rows = &rows{sim: s, tables: map[string]map[string]state.Item{}}
	options := world.Options{Now: s.clock.Now, Settle: time.Duration(s.IntN(40)) * time.Second, Page: 4 + s.IntN(16)}
	if s.chance(30, 100) {
		options.Rate, options.Burst = 5, 5
	}
	s.options, s.world = options, world.New(options)
	for _, z := range zoneNames {
		s.zones[z] = s.world.Zone(z)
	}
	for _, f := range []schema.FleetID{"edge", "edge", "two"} {
		s.nodes = append(s.nodes, &node{fleet: f})
	}
	s.branch = []revision{{commit: Commit{Hash: "c0"}, decl: s.firstDeclarations()}}
	s.seesEnds = s.chance(3, 4)
	for _, f := range prepare {
		f(s)
	}
	s.start(0)
	s.start(1)
	s.tickAll()
	return s
}

func (s *sim) chance(n, of int) bool { return s.IntN(of) < n }

func (s *sim) count(kind string) { s.met[kind]++ }

// fail notes that something is wrong. What follows may be told because of it.
func (s *sim) fail(format string, args ...any) {
	fault := fmt.Sprintf(format, args...)
	s.log.Error("FAULT " + fault)
	if len(s.faults) < 5 {
		s.faults = append(s.faults, fault)
	}
}

// play lets 200 events happen and then waits until nothing is left to do.
func (s *sim) play() error {
	defer s.endAll()
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

// endAll stops what is left.
func (s *sim) endAll() {
	for _, p := range s.processes {
		s.end(p)
	}
	for len(s.tasks) > 0 {
		s.step(s.tasks[0], dies)
	}
}

// settle ends all trouble and waits until nothing is left to do.
func (s *sim) settle() {
	s.trouble, s.crashIn, s.sleepIn, s.frozen, s.denied = 0, 0, 0, false, false
	s.world.Freeze(false)
	for _, p := range s.processes {
		if p.asleep {
			s.wake(p)
		}
	}
	for _, n := range sortedKeys(s.pulls) {
		delete(s.pulls, n)
	}
	s.push(declarations.awaken, 0)
	calm := 0
	for n := 0; calm < 3 && len(s.faults) == 0; n++ {
		if n == 400 {
			s.stuck()
			return
		}
		before := len(s.world.Writes())
		s.rest()
		if len(s.faults) > 0 {
			return
		}
		p := s.awake()
		if p == nil { // the lease has to run out first
			s.advance(leaseTime)
			continue
		}
		s.advance(max(p.untilNext(), time.Duration(1+n*n/40)*time.Second)) // ever longer: a call in doubt takes its time
		s.everyMail()
		if p = s.awake(); p == nil {
			continue
		}
		s.tell(p, nil)
		if len(p.steps)+len(p.flights) == 0 && len(s.world.Writes()) == before && s.converged() {
			calm++
		} else {
			calm = 0
		}
	}
	if len(s.faults) == 0 {
		s.checkEnd()
	}
}

// rest lets everybody finish what is under way.
func (s *sim) rest() {
	s.everyTask()
	s.everyMail()
	p := s.awake()
	if p == nil {
		return
	}
	for p.loaded != s.tip().commit.Hash {
		s.fetch(p)
	}
	s.everyMail()
	for _, n := range s.nodes {
		s.proxyTakes(n)
	}
	s.unfreezeAll()
	s.apply()
	s.removeClashes()
}

// everyTask lets all that is under way come back. Requests take a moment each.
func (s *sim) everyTask() {
	for len(s.tasks) > 0 {
		s.step(s.tasks[0], goesOn)
		s.clock.Advance(100 * time.Millisecond)
	}
}

// everyMail gives the loops what they have not been told yet.
func (s *sim) everyMail() {
	for _, p := range s.processes {
		for p.works() && len(p.mail) > 0 {
			m := p.mail[0]
			p.mail = p.mail[1:]
			s.tell(p, m)
		}
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
