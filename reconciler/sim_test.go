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
		s.advance(max(s.leader.untilNext(), time.Duration(1+n*n/100)*time.Second)) // ever longer: a call in doubt takes its time
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
