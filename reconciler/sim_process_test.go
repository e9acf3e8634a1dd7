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
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

// leaseTime is how long a leader may be silent.
const leaseTime = 15 * time.Second

// process is a daemon. There are two, of which one leads; the other waits, or led before and does not know yet that it was replaced.
type process struct {
	*loop    // nil: it waits for its turn
	sim      *sim
	machine  int
	election *election.Election
	wrong    time.Duration // of its wall clock, which it read when it started; what passes since then is right
	stop     context.CancelFunc

	mail   []any
	posts  []posting
	loaded string // the commit that it was told last
	listed string // the pulls that it was told last

	asleep bool
	turn   *task // of its loop, in the middle of which it fell asleep
}

func (p *process) now() time.Time { return p.sim.clock.Now().Add(p.wrong) }

// works tells whether a process believes that it leads, and can do something about it.
func (p *process) works() bool { return p != nil && p.loop != nil && !p.asleep }

// awake is the leader, unless there is none or it sleeps.
func (s *sim) awake() *process {
	if s.leader.works() {
		return s.leader
	}
	return nil
}

// start starts a process on a machine. It waits for its turn.
func (s *sim) start(machine int) {
	s.started++
	p := &process{sim: s, machine: machine, wrong: s.wrong, stop: func() {}}
	p.election = &election.Election{Lease: state.Lease{Store: desk{s.rows, p}}, Self: fmt.Sprint("p", s.started), Duration: leaseTime, Now: p.now}
	if s.seesEnds {
		p.election.Ended = func(name string) bool {
			return !slices.ContainsFunc(s.processes[:], func(o *process) bool { return o != nil && o.election.Self == name })
		}
	}
	s.processes[machine] = p
}

// tick is a process's part in the election.
func (s *sim) tick(p *process) {
	if p.asleep {
		return
	}
	tick := func() error {
		if err := p.election.Tick(context.Background()); !errors.Is(err, election.ErrReplaced) {
			return err
		}
		return nil
	}
	if !s.alive(p, tick) {
		return
	}
	switch {
	case p.loop != nil && !p.election.Standing().Leads:
		s.replaced(p)
	case p.loop == nil && p.election.Standing().Leads:
		s.lead(p)
	}
}

// replaced ends a process that learns of its replacement. It starts anew.
func (s *sim) replaced(p *process) {
	s.count("leader learns that it was replaced")
	s.log.Info("REPLACED", "process", p.election.Self)
	s.end(p)
	s.start(p.machine)
}

// lead makes a process the leader, on what the one before it left.
func (s *sim) lead(p *process) {
	old := s.leader
	switch {
	case old == nil:
	case old.asleep:
		s.count("leader is replaced in its sleep")
	default:
		s.count("leader is replaced while it works")
	}
	s.log.Info("LEADS", "process", p.election.Self, "epoch", p.election.Epoch())
	s.leader = p
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	provider := route53.New(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String("http://route53.test"), HTTPClient: s,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""), Retryer: func() aws.Retryer { return aws.NopRetryer{} }})
	provider.Now = p.now
	store := state.Fenced{Store: desk{s.rows, p}, Epoch: p.election.Epoch}
	r := New(Config{Log: s.log.With("process", p.election.Self), Now: p.now, Repository: people{s}, Provider: provider, Proxies: &fleets{of: p, published: map[schema.FleetID]xds.Release{}},
		Forge: people{s}, Books: BooksOf(store), Metrics: NewMetrics(prometheus.NewRegistry()), Every: Every{Tell: 2 * time.Second, Yield: -1}})
	if s.looked != nil {
		r.Validator = onlooker{s}
	}
	s.alive(p, func() error {
		p.loop = newLoop(ctx, r)
		p.aside = func(_ context.Context, work func() any) { s.spawn(p, work) }
		return p.restore(ctx)
	})
}

// tell gives the loop a message, as its select would.
func (s *sim) tell(p *process, m any) {
	s.alive(p, func() error {
		began := p.now()
		if m != nil {
			p.take(p.ctx, m)
		}
		if o, is := m.(observed); is && p.now().Equal(began) { // else it slept over it
			s.comeApart(p, o)
		}
		err := p.pass(p.ctx)
		for one, any := p.Reconciler.posts.next(); any; one, any = p.Reconciler.posts.next() {
			p.posts = append(p.posts, one)
		}
		return err
	})
}

// end ends a process wherever it is. Requests that are on their way may still reach the world.
func (s *sim) end(p *process) {
	p.stop()
	s.processes[p.machine] = nil
	if s.leader == p {
		s.leader = nil
	}
	if p.turn != nil {
		s.step(p.turn, dies)
	}
	for _, t := range slices.Clone(s.tasks) {
		if t.of != p || t.ghost {
			continue
		}
		f := dies
		if t.at == onItsWay && s.chance(1, 2) {
			f = asksThenDies
			if t.writes && s.chance(1, 2) {
				t.ghost = true
				s.delay(t)
				continue
			}
		}
		s.countEnd(t, f)
		s.step(t, f)
	}
	for _, n := range s.nodes {
		if n.to == p {
			n.to = nil
		}
	}
}

// countEnd notes at which point of a call a process ended.
func (s *sim) countEnd(t *task, f fate) {
	switch {
	case !t.writes:
	case t.at == onItsWayBack:
		s.count("crash after a call")
	case f == dies:
		s.count("crash before a call")
	}
}

// crash ends a process, and starts it again.
func (s *sim) crash(p *process) {
	s.count("crash")
	s.log.Info("CRASH", "process", p.election.Self)
	s.crashIn, s.sleepIn = 0, 0
	s.end(p)
	s.start(p.machine)
	s.tickAll()
}

// stopGently tells a process to end: it finishes its calls, and gives the lease back.
func (s *sim) stopGently(p *process) {
	s.count("told to stop")
	s.log.Info("STOP", "process", p.election.Self)
	for n := 0; n < 20 && s.processes[p.machine] == p; n++ {
		i := slices.IndexFunc(s.tasks, func(t *task) bool { return t.of == p && t.writes })
		if i < 0 {
			break
		}
		s.step(s.tasks[i], goesOn)
	}
	done := s.alive(p, func() error {
		for _, m := range p.mail {
			if c, is := m.(called); is {
				p.takeCalled(p.ctx, c)
			}
		}
		return p.election.GiveBack(p.ctx)
	})
	if !done {
		return
	}
	s.end(p)
	s.start(p.machine)
	s.tickAll()
}

// tickAll lets both processes look at the lease, mostly the leader first.
func (s *sim) tickAll() {
	order := []*process{s.processes[0], s.processes[1]}
	if (s.leader == order[1]) != (!s.calm && s.chance(1, 10)) {
		slices.Reverse(order)
	}
	for _, p := range order {
		if s.processes[p.machine] == p {
			s.tick(p)
		}
	}
}

// fallAsleep stops a process where it stands.
func (s *sim) fallAsleep(p *process) {
	s.count("process falls asleep")
	s.log.Info("ASLEEP", "process", p.election.Self)
	p.asleep = true
}

// wake lets a process go on where it stopped, as if nothing had been.
func (s *sim) wake(p *process) {
	s.count("process wakes up")
	s.log.Info("AWAKE", "process", p.election.Self)
	p.asleep = false
	if t := p.turn; t != nil {
		p.turn = nil
		s.count("process wakes up in the middle of something")
		if !s.run(t) {
			return
		}
	}
	if p.loop != nil && !p.election.Standing().Leads { // it was about to renew
		s.replaced(p)
	}
}

// fetch tells the loop of the branch and of the pulls, where they moved.
func (s *sim) fetch(p *process) {
	tip := s.tip()
	if p.loaded != tip.commit.Hash {
		p.loaded = tip.commit.Hash
		loaded, tree := tip.decl.load()
		before := p.edge
		s.tell(p, branchLoaded{commit: tip.commit, files: tree, loaded: loaded, seen: p.now()})
		for _, id := range sortedKeys(tip.decl.broken) {
			was, existed := before.Service(id)
			if is, still := p.edge.Service(id); s.leader == p && p.works() && existed && (!still || !is.Same(was)) {
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
	if p.listed != listed {
		p.listed = listed
		s.tell(p, pullsLoaded{open: open, listed: true})
	}
}

// post puts a review on its pull: from then on people can see the plan. Only who leads does.
func (s *sim) post(p *process) {
	one := p.posts[0]
	p.posts = p.posts[1:]
	if p.election.Epoch() == 0 {
		s.count("review of who does not lead any more is kept back")
		return
	}
	p.Reconciler.posts.stands(one)
	if one.plan == nil {
		return
	}
	pull := s.pulls[one.target.Pull]
	if pull == nil { // it was merged before: the forge says so
		return
	}
	pull.shown = one.plan
	p.mail = append(p.mail, posted{*one.plan})
}
