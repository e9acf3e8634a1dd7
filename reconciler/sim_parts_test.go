package reconciler

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

// fault is what goes wrong with a request, if anything.
func (s *sim) fault(req *http.Request, operation string) string {
	if s.frozen && operation == "ListResourceRecordSets" {
		s.count("listing is stale")
	}
	if !s.chance(s.trouble, 100) {
		return ""
	}
	kind := []string{"throttled", "unavailable", "lost request", "lost reply"}[s.IntN(4)]
	s.count(kind)
	if !firstPage(req.URL.Query()) {
		s.count("listing fails at a later page")
	}
	return kind
}

// RoundTrip brings a request to the world, in two turns: the way there and the way back.
func (s *sim) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/" {
		return s.assumeRole(), nil
	}
	operation, _ := world.Operation(req.Method, req.URL.Path)
	t := s.current
	t.at, t.writes = onItsWay, writing(operation)
	if t.writes && s.chance(1, 15) {
		s.delay(t)
	}
	outcome := s.yield()
	if outcome == dies {
		runtime.Goexit()
	}
	answer, err := s.arrive(req, operation, t)
	if outcome == asksThenDies {
		s.count("request outlives its process")
		runtime.Goexit()
	}
	if t.at = onItsWayBack; err == nil || t.of.asleep {
		s.goOn()
	}
	t.at = beforeIt
	return answer, err
}

// arrive is what becomes of a request.
func (s *sim) arrive(req *http.Request, operation string, t *task) (*http.Response, error) {
	s.checkAccount(req)
	if t.writes {
		signed, err := time.Parse("20060102T150405Z", req.Header.Get("X-Amz-Date"))
		if err != nil {
			s.fail("a request is not dated: %v", err)
		}
		if old := s.clock.Now().Sub(signed).Abs(); old > 15*time.Minute {
			s.count("request expired")
			return nil, errors.New("the request was signed more than 15 minutes ago")
		}
		if t.of.asleep {
			s.count("request of one that sleeps arrives")
		}
		if s.leader != t.of {
			s.count("request of one that was replaced arrives")
		}
	}
	if s.denied && ofSecond(req) {
		s.count("account does not let us in")
		s.world.Inject(world.Fault{Operation: operation, Status: http.StatusForbidden, Code: "AccessDenied", Message: "not authorized"})
		return s.ask(req, operation), nil
	}
	switch s.fault(req, operation) {
	case "throttled":
		s.world.Inject(world.Fault{Operation: operation, Status: http.StatusBadRequest, Code: "Throttling", Message: "Rate exceeded"})
	case "unavailable":
		s.world.Inject(world.Fault{Operation: operation, Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Message: "later"})
	case "lost request":
		return nil, errors.New("connection reset before the request was read")
	case "lost reply":
		s.ask(req, operation)
		return nil, errors.New("connection reset before the reply was read")
	}
	return s.ask(req, operation), nil
}

// Do lets the SDK use the simulation in place of a client.
func (s *sim) Do(req *http.Request) (*http.Response, error) { return s.RoundTrip(req) }

func (s *sim) ask(req *http.Request, operation string) *http.Response {
	if req.Body == nil {
		req.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	s.askAbout(out, req, operation)
	return out.Result()
}

// rows are a store in memory.
type rows struct {
	sim    *sim
	tables map[string]map[string]state.Item
}

func (r *rows) Get(_ context.Context, table, key string) (state.Item, error) {
	item, there := r.tables[table][key]
	if !there {
		return state.Item{}, state.ErrNotFound
	}
	return item, nil
}

func (r *rows) write(ops []state.Op) error {
	for _, op := range ops {
		now := r.tables[op.Table][op.Key].Version
		if op.Version != state.Any && op.Version != now {
			return fmt.Errorf("%s %s is at %d, not %d: %w", op.Table, op.Key, now, op.Version, state.ErrConflict)
		}
	}
	for _, op := range ops {
		if op.Check {
			continue
		}
		if r.tables[op.Table] == nil {
			r.tables[op.Table] = map[string]state.Item{}
		}
		if op.Value == nil {
			delete(r.tables[op.Table], op.Key)
			continue
		}
		version := r.tables[op.Table][op.Key].Version + 1
		r.tables[op.Table][op.Key] = state.Item{Table: op.Table, Key: op.Key, Value: slices.Clone(op.Value), Version: version}
	}
	return nil
}

func (r *rows) List(_ context.Context, table, prefix, after string, limit int) ([]state.Item, error) {
	var out []state.Item
	for _, key := range sortedKeys(r.tables[table]) {
		if strings.HasPrefix(key, prefix) && key > after && len(out) < limit {
			out = append(out, r.tables[table][key])
		}
	}
	return out, nil
}

// desk is the store as one process uses it, which can die and fall asleep before and after each write.
type desk struct {
	*rows
	of *process
}

func (d desk) Write(_ context.Context, ops ...state.Op) error {
	what := d.sim.kindOf(ops)
	if what != "nothing" {
		d.sim.crashPoint(d.of, "before a write of "+what)
	}
	undo := d.sim.judge(d.of, what, ops)
	if err := d.write(ops); err != nil {
		return err
	}
	undo()
	d.sim.checkHolder(d.of, what)
	if what == "nothing" {
		return nil
	}
	d.sim.crashPoint(d.of, "after a write of "+what)
	return nil
}

// kindOf says what a write is, by what it is about first.
func (s *sim) kindOf(ops []state.Op) string {
	ops = slices.DeleteFunc(slices.Clone(ops), func(op state.Op) bool { return op.Check })
	if len(ops) == 0 {
		return "nothing"
	}
	switch first := ops[0]; {
	case first.Table != "intent-open":
		return first.Table
	case first.Value == nil:
		return "outcome"
	case first.Version == state.Absent:
		return "intent"
	case len(read[state.Intent](s, first.Value).Seen) > 0:
		return "claim"
	}
	return "token"
}

// node is a proxy: it answers by the release that it took last, whether it is connected or not.
type node struct {
	fleet schema.FleetID
	to    *process // nil: it is not connected
	has   xds.Release
}

func (n *node) answers(exposure schema.Exposure, host schema.Hostname) bool {
	if !slices.ContainsFunc(n.has.Fleet.Listeners, func(l schema.Listener) bool { return l.Exposure == exposure }) {
		return false
	}
	for _, s := range n.has.Services {
		if s.Unit.Exposure == exposure && slices.Contains(s.Unit.Domains, host) || slices.Contains(s.Extra, schema.Place{Exposure: exposure, Host: host}) {
			return true
		}
	}
	return false
}

// fleets are the proxies as one leader sees them: it knows what they have once they have connected to it.
type fleets struct {
	of        *process
	published map[schema.FleetID]xds.Release
}

func (p *fleets) Publish(r xds.Release) {
	p.published[r.Fleet.ID] = r
	p.of.sim.checkRelease(r)
	p.of.sim.checkLooked(r)
}

func (p *fleets) Acknowledged(f schema.FleetID, id schema.ServiceID) (string, bool) {
	version, any := "", false
	for _, n := range p.of.sim.nodes {
		if n.fleet != f || n.to != p.of {
			continue
		}
		has := n.has.Services[id].Version
		if any && has != version {
			return "", true
		}
		version, any = has, true
	}
	return version, any
}

func (p *fleets) Changes() <-chan struct{} { return nil }

func (p *fleets) Refusals() []xds.Refusal { return nil }

func (p *fleets) Nodes() []xds.Node {
	var out []xds.Node
	for i, n := range p.of.sim.nodes {
		if n.to == p.of {
			out = append(out, xds.Node{ID: fmt.Sprint("node-", i), Fleet: n.fleet})
		}
	}
	return out
}

// people are the forge, and the repository behind it.
type people struct{ *sim }

func (p people) Fetch(context.Context, string) error { return nil }

func (p people) Files(context.Context, string) (Tree, error) {
	return Tree{}, errors.New("not asked for")
}

func (p people) Merged(context.Context, string) (Tree, error) {
	return Tree{}, errors.New("not asked for")
}

func (p people) Pulls(context.Context) ([]forge.Pull, error) { return nil, errors.New("not asked for") }

func (p people) Commands(context.Context, int) ([]forge.Command, error) { return nil, nil }

func (p people) Post(context.Context, forge.Target, forge.Review) error { return nil }

func (p people) Tip() (Commit, error) { return p.branch[len(p.branch)-1].commit, nil }

func (p people) Between(after, upTo string, limit int) ([]Commit, error) {
	var out []Commit
	counting := false
	for _, c := range slices.Backward(p.branch) {
		if c.commit.Hash == after || len(out) == limit {
			break
		}
		if counting = counting || c.commit.Hash == upTo; counting {
			out = append(out, c.commit)
		}
	}
	return out, nil
}

func (p people) PullOf(_ context.Context, commit string) (forge.Pull, bool, error) {
	if p.chance(p.trouble, 100) {
		p.count("forge does not answer")
		return forge.Pull{}, false, errors.New("the forge does not answer")
	}
	for _, c := range p.branch {
		if c.commit.Hash == commit && c.pull != 0 {
			return forge.Pull{Number: c.pull, Head: fmt.Sprint("head-", c.pull), Merged: commit}, true, nil
		}
	}
	return forge.Pull{}, false, nil
}
