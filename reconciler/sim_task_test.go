package reconciler

import (
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
)

// fate is what becomes of a task at a point where it waits.
type fate int

const (
	goesOn       fate = iota
	dies              // with its process: what it was about to ask is not asked
	asksThenDies      // with its process, but its request was on the way already
)

// point is where a task waits.
type point int

const (
	beforeIt     point = iota // it has not begun
	onItsWay                  // its request is signed, and may have been sent
	onItsWayBack              // AWS has answered
)

// task is a turn of a loop, or work beside one. It runs only when it is its turn, and gives the turn back wherever it would wait for somebody.
type task struct {
	of     *process
	resume chan fate
	at     point
	writes bool      // it is a call that writes
	until  time.Time // its request is that slow
	ghost  bool      // its process has ended, and its request is still on its way
	gone   bool
	killed bool
	err    error
	result any
}

// errKilled ends the loop of a process that dies in the middle of a write.
var errKilled = errors.New("killed")

// begin makes a task that waits for its first turn.
func (s *sim) begin(of *process, work func(*task)) *task {
	t := &task{of: of, resume: make(chan fate)}
	go func() {
		defer func() {
			if p := recover(); p != nil {
				if err, _ := p.(error); !errors.Is(err, errKilled) {
					panic(p)
				}
				t.killed = true
			}
			t.gone = true
			s.turn <- struct{}{}
		}()
		if <-t.resume == goesOn {
			work(t)
		}
	}()
	return t
}

// spawn starts work beside a loop.
func (s *sim) spawn(of *process, work func() any) {
	s.tasks = append(s.tasks, s.begin(of, func(t *task) { t.result = work() }))
}

// alive lets a process do something, and starts it again should it die of it. It is false if the process died or fell asleep.
func (s *sim) alive(p *process, do func() error) bool {
	return s.run(s.begin(p, func(t *task) { t.err = do() }))
}

// run gives a turn of a loop to a process.
func (s *sim) run(t *task) bool {
	s.step(t, goesOn)
	switch {
	case t.killed:
		s.crash(t.of)
	case !t.gone:
		t.of.turn = t
	case errors.Is(t.err, state.ErrFenced):
		s.count("write of who does not lead any more is refused")
		if t.of.election.Epoch() != 0 && s.leader == t.of {
			s.fail("the leader cannot write: %v", t.err)
		}
	case t.err != nil:
		s.fail("the daemon: %v", t.err)
	}
	return t.gone && !t.killed
}

// step gives a task a turn.
func (s *sim) step(t *task, f fate) {
	if t.ghost && f == goesOn {
		f = asksThenDies
	}
	s.current = t
	t.resume <- f
	<-s.turn
	s.current = nil
	if !t.gone {
		return
	}
	s.tasks = slices.DeleteFunc(s.tasks, func(o *task) bool { return o == t })
	if t.result != nil && s.processes[t.of.machine] == t.of {
		t.of.mail = append(t.of.mail, t.result)
	}
}

// yield is where a task waits for its next turn.
func (s *sim) yield() fate {
	t := s.current
	s.turn <- struct{}{}
	return <-t.resume
}

// goOn is yield for those who know nothing of fates.
func (s *sim) goOn() {
	if s.yield() != goesOn {
		runtime.Goexit()
	}
}

// steppable are the tasks that can go on: of one that sleeps, only requests that are on their way.
func (s *sim) steppable() []*task {
	now := s.clock.Now()
	return slices.DeleteFunc(slices.Clone(s.tasks), func(t *task) bool { return t.of.asleep && t.at != onItsWay || now.Before(t.until) })
}

// delay makes a request slow.
func (s *sim) delay(t *task) {
	s.count("request is slow")
	t.until = s.clock.Now().Add(time.Duration(s.IntN(1200)) * time.Second)
}

// seldom are points that a crash would hardly ever meet by chance: with these numbers of crashIn it waits for them.
var seldom = map[int]string{11: "after a write of inventory", 12: "before a write of inventory", 13: "after a write of decision", 14: "before a write of decision"}

// crashPoint is where a process can die, or fall asleep.
func (s *sim) crashPoint(p *process, where string) {
	at, waits := seldom[s.crashIn]
	if s.crashIn > 0 && (!waits || at == where) {
		if s.crashIn--; s.crashIn == 0 || waits {
			s.crashIn = 0
			s.count("crash " + where)
			panic(errKilled)
		}
	}
	if s.sleepIn > 0 {
		if s.sleepIn--; s.sleepIn == 0 {
			s.count("sleep " + where)
			s.fallAsleep(p)
			s.goOn()
		}
	}
}
