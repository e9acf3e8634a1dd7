package election_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
)

const duration = 15 * time.Second

// race is some processes with one store and one clock.
type race struct {
	t     *testing.T
	clock *world.Clock
	store *flaky
	ended map[string]bool
}

func newRace(t *testing.T) *race {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &race{t, world.NewClock(), &flaky{Store: s}, map[string]bool{}}
}

func (r *race) process(name string) *election.Election {
	return &election.Election{Lease: state.Lease{Store: r.store}, Self: name, Duration: duration, Now: r.clock.Now,
		Ended: func(holder string) bool { return r.ended[holder] }}
}

// ticks lets processes tick in turn, every third of the duration, for a while.
func (r *race) ticks(d time.Duration, of ...*election.Election) {
	r.t.Helper()
	for end := r.clock.Now().Add(d); r.clock.Now().Before(end); r.clock.Advance(duration / 3) {
		for _, e := range of {
			if err := e.Tick(r.t.Context()); err != nil {
				r.t.Fatalf("%s: %v", e.Self, err)
			}
		}
	}
}

func (r *race) leads(who *election.Election, others ...*election.Election) {
	r.t.Helper()
	if s := who.Standing(); !s.Leads || s.Holder != who.Self || who.Epoch() == 0 {
		r.t.Fatalf("%s does not lead: %+v, epoch %d", who.Self, s, who.Epoch())
	}
	for _, o := range others {
		if s := o.Standing(); s.Leads || o.Epoch() != 0 || s.Holder != who.Self {
			r.t.Fatalf("%s leads beside %s, or does not know of it: %+v", o.Self, who.Self, s)
		}
	}
}

// flaky is a store that can fail, also after it has written.
type flaky struct {
	state.Store
	before, after error
}

func (f *flaky) Write(ctx context.Context, ops ...state.Op) error {
	if f.before != nil {
		return f.before
	}
	if err := f.Store.Write(ctx, ops...); err != nil {
		return err
	}
	return f.after
}

var errDisk = errors.New("the disk is full")

func TestFirstOneLeadsAndKeepsIt(t *testing.T) {
	r := newRace(t)
	a, b := r.process("a"), r.process("b")
	r.ticks(time.Hour, a, b)
	r.leads(a, b)
	if n := a.Standing().Epoch; n != 1 {
		t.Errorf("epoch %d, want 1: it changed hands", n)
	}
}

func TestWhoShowsNoSignOfLifeIsReplaced(t *testing.T) {
	r := newRace(t)
	a, b := r.process("a"), r.process("b")
	r.ticks(time.Minute, a, b)
	r.ticks(duration*2/3, b)
	if b.Standing().Leads {
		t.Fatal("it took over before the duration had passed")
	}
	if a.Epoch() != 0 {
		t.Fatal("who cannot renew may write for as long as another waits for it")
	}
	r.ticks(duration, b)
	r.leads(b)
	if err := a.Tick(t.Context()); !errors.Is(err, election.ErrReplaced) {
		t.Fatalf("who wakes up is told %v, want ErrReplaced", err)
	}
	r.ticks(time.Minute, a, b)
	r.leads(b, a)
}

func TestWhoGivesBackOrEndedIsNotWaitedFor(t *testing.T) {
	r := newRace(t)
	a, b, c := r.process("a"), r.process("b"), r.process("c")
	r.ticks(time.Second, a, b)
	if err := a.GiveBack(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.ticks(time.Second, b, c)
	r.leads(b, c)
	r.ended["b"] = true
	r.ticks(time.Second, c)
	r.leads(c)
}

func TestStoreThatFailsForAWhileChangesNothing(t *testing.T) {
	r := newRace(t)
	a := r.process("a")
	r.ticks(time.Second, a)
	r.store.before = errDisk
	r.clock.Advance(duration)
	if err := a.Tick(t.Context()); !errors.Is(err, errDisk) || a.Epoch() != 0 {
		t.Fatalf("renewing fails with %v, epoch %d", err, a.Epoch())
	}
	r.store.before = nil
	r.ticks(time.Second, a)
	r.leads(a)
}

func TestLostAnswersAreFoundOut(t *testing.T) {
	r := newRace(t)
	a, b := r.process("a"), r.process("b")
	r.store.after = errDisk
	if err := a.Tick(t.Context()); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	r.store.after = nil
	r.ticks(time.Second, b, a)
	r.leads(a)
	r.store.after = errDisk
	if err := a.Tick(t.Context()); !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	r.store.after = nil
	r.ticks(time.Minute, a, b)
	r.leads(a, b)
}

// TestClocksAreNotCompared holds that a wrong clock takes nobody's lease away, and that one set back keeps nobody waiting for ever.
func TestClocksAreNotCompared(t *testing.T) {
	r := newRace(t)
	a, b := r.process("a"), r.process("b")
	b.Now = func() time.Time { return r.clock.Now().Add(24 * time.Hour) }
	r.ticks(time.Hour, a, b)
	r.leads(a, b)
	b.Now = func() time.Time { return r.clock.Now().Add(-24 * time.Hour) }
	r.ticks(2*duration, b)
	r.leads(b)
}

func TestCampaignAndKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &flaky{Store: memory{}}
		start := func(name string) *election.Election {
			return &election.Election{Lease: state.Lease{Store: store}, Self: name, Duration: duration, Now: time.Now}
		}
		a, b := start("a"), start("b")
		quiet := func(err error) { t.Error(err) }
		if err := a.Campaign(t.Context(), quiet); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		kept, won := make(chan error, 1), make(chan error, 1)
		go func() { kept <- a.Keep(ctx, quiet) }()
		go func() { won <- b.Campaign(t.Context(), quiet) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if !a.Standing().Leads || b.Standing().Leads {
			t.Fatal("who renews was replaced")
		}
		stop()
		if err := <-kept; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if err := <-won; err != nil || a.Epoch() != 0 || b.Epoch() != 2 {
			t.Fatalf("%v, epochs %d and %d", err, a.Epoch(), b.Epoch())
		}
		if err := a.Keep(t.Context(), quiet); !errors.Is(err, election.ErrReplaced) {
			t.Fatalf("%v, want ErrReplaced", err)
		}
	})
}

// memory is a store for one goroutine at a time.
type memory map[string]state.Item

func (m memory) Get(_ context.Context, table, key string) (state.Item, error) {
	if item, there := m[table+" "+key]; there {
		return item, nil
	}
	return state.Item{}, state.ErrNotFound
}

func (m memory) Write(_ context.Context, ops ...state.Op) error {
	for _, op := range ops {
		if op.Version != state.Any && op.Version != m[op.Table+" "+op.Key].Version {
			return state.ErrConflict
		}
	}
	for _, op := range ops {
		if !op.Check {
			at := op.Table + " " + op.Key
			m[at] = state.Item{Table: op.Table, Key: op.Key, Value: op.Value, Version: m[at].Version + 1}
		}
	}
	return nil
}

func (m memory) List(context.Context, string, string, string, int) ([]state.Item, error) {
	return nil, errors.New("not asked for")
}
