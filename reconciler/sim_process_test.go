package reconciler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/reconciler/aws/route53"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

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

// errKilled ends the loop of a process that dies in the middle of a write.
var errKilled = errors.New("killed")

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

// fate is what becomes of a task at a point where it waits.
type fate int

const (
	goesOn       fate = iota
	dies              // with its process: what it was about to ask is not asked
	asksThenDies      // with its process, but its request was on the way already
)

// task is work beside a loop. It runs only when it is its turn, and gives the turn back wherever it would wait for somebody.
type task struct {
	of     *leader
	resume chan fate
	gone   bool
	result any
}

// spawn starts work that waits for its first turn.
func (s *sim) spawn(of *leader, work func() any) {
	t := &task{of: of, resume: make(chan fate)}
	s.tasks = append(s.tasks, t)
	go func() {
		defer func() { t.gone = true; s.turn <- struct{}{} }()
		if <-t.resume == goesOn {
			t.result = work()
		}
	}()
}

// step gives a task a turn.
func (s *sim) step(t *task, f fate) {
	s.current = t
	t.resume <- f
	<-s.turn
	s.current = nil
	if !t.gone {
		return
	}
	s.tasks = slices.DeleteFunc(s.tasks, func(o *task) bool { return o == t })
	if t.result != nil && t.of == s.leader {
		t.of.mail = append(t.of.mail, t.result)
	}
}

// yield is where a task waits for its next turn.
func (s *sim) yield() fate {
	t := s.current
	s.turn <- struct{}{}
	return <-t.resume
}
