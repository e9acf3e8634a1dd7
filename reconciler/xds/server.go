package xds

import (
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// Service is what a fleet is served for one service.
type Service struct {
	ID      schema.ServiceID
	Version string         // changes whenever anything else here does
	Unit    envoy.Unit     // without domains once the service is removed
	Extra   []schema.Place // that linger
}

// Release is what a fleet is served.
type Release struct {
	Fleet    schema.Fleet
	Layout   envoy.Layout // of the buckets that listeners lead to
	Old      envoy.Layout // of those that they led to before, and that are kept beside them; of no buckets: none
	Services map[schema.ServiceID]Service
	Held     map[Cohort]map[schema.ServiceID]Service // what a cohort gets instead, as it has refused what the others get

	// Changed names the services in which it may differ from the release of the fleet that was published before it. Nil: they are compared.
	Changed []schema.ServiceID
}

func (r Release) packing() packing { return packing{r.Layout, r.Old} }

// Server serves releases to proxies. It knows a fleet from its first Publish on.
type Server struct {
	Access *Access // who may connect; nil: whoever does

	log        *slog.Logger
	now        func() time.Time
	grace      time.Duration // how long a stream whose fleet is not there waits after the first release of any
	changed    chan struct{}
	turnedAway turnedAway

	publishing sync.Mutex // one Publish at a time
	mu         sync.Mutex // guards what follows; never held while a fleet's is taken
	fleets     map[schema.FleetID]*cohorts
	waiting    map[chan struct{}]bool // streams whose fleet has no release yet
	streams    int
	sessions   map[string]*session // by fleet and node

	pace       *pace
	memory     *memory
	patience   time.Duration // that one answer may take to be sent
	strangers  chan struct{} // a place for each that is heard out
	warmWithin time.Duration // that a gRPC client has to take clusters before its routes lead there
	recheck    time.Duration // after which it is asked again whether a proxy may be connected
}

// New is a server without releases: streams are held open until there is one.
func New(log *slog.Logger, now func() time.Time) *Server {
	return &Server{
		log: log, now: now, grace: 2 * time.Second, changed: make(chan struct{}, 1),
		fleets: map[schema.FleetID]*cohorts{}, waiting: map[chan struct{}]bool{}, sessions: map[string]*session{},
		turnedAway: turnedAway{log: log, now: now, counts: map[Reason]uint64{}}, memory: newMemory(), pace: newPace(), patience: 20 * time.Second, recheck: time.Minute, warmWithin: 10 * time.Second, strangers: make(chan struct{}, strangers),
	}
}

// Changes is poked when what Acknowledged, Nodes or Refusals tell may have changed.
func (s *Server) Changes() <-chan struct{} { return s.changed }

func (s *Server) poke() { nudge(s.changed) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *Server) wait(wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[wake] = true
}

func (s *Server) waitNoMore(wake chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, wake)
}

func (s *Server) enter(from net.Addr) *rejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams >= maxStreams {
		return &rejection{TooManyStreams, fmt.Sprintf("%d streams are open, which is the limit: come again later", s.streams)}
	}
	if !s.pace.allow(from, s.now()) {
		return &rejection{TooFast, fmt.Sprintf("too many new streams: %d a second may be opened, %d from one address; come again in a few seconds", newStreams, oneAddress)}
	}
	s.streams++
	return nil
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams--
}

// attend hands a link to the session of its proxy. A link that carries what another does is that of a proxy that came again: the
// session before it ends.
func (s *Server) attend(n node, l *link, url string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := n.key()
	k := s.sessions[key]
	if k != nil && k.carry(l, url) {
		return k
	}
	if k != nil {
		k.end(again(n))
	}
	k = newSession(key, k, s.patience)
	k.carry(l, url)
	s.sessions[key] = k
	go s.run(k, n)
	return k
}

// dismiss ends a session that nothing is sent on any more.
func (s *Server) dismiss(k *session) {
	k.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[k.key] == k {
		delete(s.sessions, k.key)
	}
}
