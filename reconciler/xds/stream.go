package xds

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/schema"
)

// firstRequest is how long a stream may be silent before it says who it is.
const firstRequest = 30 * time.Second

// stream is one connected proxy, by however many gRPC streams. All of it belongs to the goroutine that runs its session.
type stream struct {
	node  node
	log   *slog.Logger
	send  func(*ledger, prepared) (needed bool, err error)
	has   func(url string, all []*discoveryv3.Resource) bool // whether the proxy said so when it came
	seat  *seat
	fleet *fleet // nil until the fleet's first release
	frame *frame
	nonce int

	clusters, listeners, scopes, routes *ledger
	secrets                             *vault
	runtime, filters                    *requested

	rest     *rest  // what services and buckets are that are known of by nothing else
	parts    *parts // of all clusters, while they are given,
	had      int    // so many of which are acknowledged
	begun    bool   // it is decided how the proxy is given what is published:
	lazy     bool   // as a whole, and it has not acknowledged all of that yet
	based    bool   // the clusters of services at rest are there, and they are served
	arrived  bool   // all buckets are there: those at rest, too
	reported *rest  // that the fleet was told it has
	grown    bool   // much was known by itself, once

	loose     map[schema.ServiceID]*item
	held      map[schema.ServiceID]struct{} // the goal is not what is published
	pending   map[schema.ServiceID]struct{} // served is not the goal
	unsettled map[schema.ServiceID]struct{} // served is not acknowledged
	stale     map[schema.ServiceID]struct{} // services whose clusters are to be looked at
	serving   bool                          // it may serve a service already

	strays map[string]bool // clusters that it had before, and nobody wants now
	whole  bool            // an answer of clusters holds all that the proxy is to have
	vague  bool            // it had clusters before, of which nobody knows

	buckets map[string]*bucket  // but those at rest
	dirty   map[string]struct{} // buckets to be made anew
	hurried map[string]struct{} // those of them that go first
	trials  []*group            // suspects of a refusal; only the first group may go on
	why     string              // of the last refusal
	warm    bool                // the first clusters are there: routes and listeners may follow
	calm    bool                // every bucket of the proxy is one that this stream sent: clusters may be pruned
	scoped  *frame              // that of the scopes that the proxy was sent last
	pruned  *frame              // that for which it has no other scopes
	balked  *frame              // that of the listeners refused last
	packed  *frame              // that of the listeners sent last
	lacks   *frame              // that of listeners held back for a secret
}

func newStream(n node, log *slog.Logger, send func(*ledger, prepared) (bool, error), now time.Time) *stream {
	type services = map[schema.ServiceID]struct{}
	return &stream{
		node: n, log: log, send: send,
		seat: &seat{
			node: n, since: now, wake: make(chan struct{}, 1), over: make(chan struct{}), dirty: services{},
			acked: map[schema.ServiceID]string{}, lacking: map[schema.ServiceID]time.Time{},
		},
		clusters: newLedger(clusterType), listeners: newLedger(listenerType), scopes: newLedger(scopeType), routes: newLedger(routeType), secrets: newVault(), runtime: newRequested(runtimeType), filters: newRequested(extensionType),
		loose: map[schema.ServiceID]*item{}, held: services{}, pending: services{}, unsettled: services{}, stale: services{},
		buckets: map[string]*bucket{}, dirty: map[string]struct{}{}, hurried: map[string]struct{}{},
	}
}

// serve carries one gRPC stream of a proxy to its end.
func (s *Server) serve(l *link) error {
	go l.receive()
	var first message
	select {
	case first = <-l.requests:
	case err := <-l.ended:
		return err
	case <-time.After(firstRequest):
		return status.Errorf(codes.DeadlineExceeded, "no request within %v", firstRequest)
	}
	n, err := identify(first.GetNode())
	if err != nil {
		return s.refuse(claimed(first), l, &rejection{BadRequest, err.Error()})
	}
	may := func() error {
		if no := s.Access.admit(l.ctx, n); no != nil {
			return s.refuse(n, l, no)
		}
		return nil
	}
	if err := may(); err != nil {
		return err
	}
	again := time.NewTicker(s.recheck)
	defer again.Stop()
	return s.attend(n, l, first.GetTypeUrl()).follow(l, first, again.C, may)
}

// run speaks to a proxy until its session is over.
func (s *Server) run(k *session, n node) {
	if k.before != nil {
		<-k.before.gone // what the proxy had is noted by then
		k.before = nil
	}
	t := newStream(n, s.log.With("node", n.id, "fleet", n.fleet), k.send, s.now())
	t.has = k.recognise
	defer s.end(t, k)
	s.wait(t.seat.wake)
	var grace <-chan time.Time
	var to speaker = t
	for {
		requests := k.requests
		switch joined, others := s.join(t); {
		case joined:
			if named, is := to.(*named); t.fleet.ofClients() != is {
				if is || t.begun {
					k.end(status.Errorf(codes.Aborted, "the fleet %s is of another kind now", t.node.fleet))
					return
				}
				named = newNamed(t, s.warmWithin)
				to = named
			}
			if err := to.flush(); err != nil {
				k.end(err)
				return
			}
		case others != "" && grace == nil:
			grace = time.After(s.grace)
		}
		if t.fleet == nil {
			requests = nil // what it is told by depends on the fleet
		}
		select {
		case in := <-requests:
			if err := t.hear(k, in, to); err != nil {
				k.end(err)
				return
			}
		case answer := <-k.questions:
			answer <- to.inspect()
		case <-t.seat.wake:
		case <-grace:
			if joined, known := s.join(t); !joined {
				k.end(s.refuse(n, k.any(), &rejection{UnknownFleet, fmt.Sprintf("its fleet is not there: no fleet called %q; known: %s", n.fleet, known)}))
				return
			}
		case <-t.seat.over:
			t.log.Warn("stream ended: the same node came again")
			k.end(again(t.node))
			return
		case <-k.over:
			return
		}
	}
}

func again(n node) error {
	return status.Errorf(codes.Aborted, "node %s has opened another stream", n.id)
}

// speaker is how a stream is spoken with: as with a proxy of the edge, or with a client that asks by name.
type speaker interface {
	take(*discoveryv3.DeltaDiscoveryRequest) error
	flush() error
	inspect() Inspected
}

// hear takes a request on the link on which it came.
func (t *stream) hear(k *session, in incoming, to speaker) error {
	if err := in.from.check(in.message); err != nil {
		return err
	}
	if !k.carry(in.from, in.GetTypeUrl()) {
		return status.Errorf(codes.Aborted, "node %s asks for %s on two streams", t.node.id, in.GetTypeUrl())
	}
	r := in.from.wire.read(k.key, in.message)
	if r == nil {
		return nil
	}
	if t.whole = in.from.wire.whole(); !t.clusters.asked && r.GetTypeUrl() == clusterType {
		t.vague = in.from.wire.vague(clusterType)
	}
	return to.take(r)
}

// join seats the stream once its fleet has a release, and else tells which fleets have one.
func (s *Server) join(t *stream) (joined bool, others string) {
	if t.fleet != nil {
		return true, ""
	}
	f, known := s.find(t.node)
	if f == nil {
		names := make([]string, 0, len(known))
		for _, id := range known {
			names = append(names, string(id))
		}
		return false, strings.Join(names, ", ")
	}
	s.waitNoMore(t.seat.wake)
	t.fleet = f
	f.join(t.seat)
	t.log.Info("proxy connected", "envoy", t.node.envoy)
	return true, ""
}

// refuse turns a proxy away.
func (s *Server) refuse(n node, l *link, no *rejection) error {
	s.turnedAway.note(n, l.from(), no)
	return no.status()
}

func (s *Server) end(t *stream, k *session) {
	t.log.Info("proxy disconnected", "why", k.why())
	s.waitNoMore(t.seat.wake)
	if t.fleet != nil {
		t.fleet.part(t.seat)
	}
	s.dismiss(k)
}

// answer sends a response, and notes it as under way.
func (t *stream) answer(l *ledger, r *response) error {
	t.nonce++
	r.nonce = strconv.Itoa(t.nonce)
	l.sent(r)
	return t.convey(l, r)
}

func (t *stream) convey(l *ledger, r *response) error {
	needed, err := t.send(l, prepared{&discoveryv3.DeltaDiscoveryResponse{
		TypeUrl: l.url, Nonce: r.nonce, Resources: r.added, RemovedResources: r.removed,
	}, r.encoded})
	if err != nil {
		return fmt.Errorf("send to node %s: %w", t.node.id, err)
	}
	if !needed {
		l.out = nil
		t.acknowledged(l, r)
	}
	return nil
}
