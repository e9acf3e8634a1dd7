package xds

import (
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

// Reason is why a proxy was turned away, in a word or two.
type Reason string

// All that there are.
const (
	BadHandshake   Reason = "handshake"        // TLS: mostly no certificate, or one that nobody vouches for
	BadCertificate Reason = "certificate"      // was good once
	NoCredentials  Reason = "no credentials"   // neither certificate nor token
	BadToken       Reason = "unknown token"    //
	NoIdentity     Reason = "no identity"      // a certificate that names no fleet
	WrongFleet     Reason = "another fleet"    // certificate or token are for another
	WrongNode      Reason = "another node"     // the certificate is for another
	UnknownFleet   Reason = "unknown fleet"    // that is not there
	BadRequest     Reason = "bad request"      // a first request that does not say who it is
	TooManyStreams Reason = "too many streams" // at once
	TooFast        Reason = "too fast"         // too many new streams in a short time
)

// Reasons are all reasons.
func Reasons() []Reason {
	return []Reason{BadHandshake, BadCertificate, NoCredentials, BadToken, NoIdentity, WrongFleet, WrongNode, UnknownFleet, BadRequest, TooManyStreams, TooFast}
}

const (
	turnedKept = 20 // proxies that are remembered
	turnedName = 60 // bytes kept of what they call themselves
)

// TurnedAway is a proxy that was turned away, the same way as often as it came.
type TurnedAway struct {
	Node    string    `json:"node"`  // as it says; empty when it did not come to that
	Fleet   string    `json:"fleet"` // as it says
	Address string    `json:"address"`
	Reason  Reason    `json:"reason"`
	Why     string    `json:"why"`
	Last    time.Time `json:"last"`
	Times   int       `json:"times"`
}

// turnedAway counts proxies that were turned away, and remembers the last few.
type turnedAway struct {
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex // guards what follows
	counts map[Reason]uint64
	last   []TurnedAway // the newest last
}

// note counts a proxy that was turned away. The log tells it the first time, and then ever more rarely.
func (a *turnedAway) note(n node, from net.Addr, r *rejection) {
	one := TurnedAway{
		Node: cut(n.id, turnedName), Fleet: cut(string(n.fleet), turnedName), Address: hostOf(from), Reason: r.Reason, Why: r.why, Last: a.now(), Times: 1,
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.counts[r.Reason]++
	at := slices.IndexFunc(a.last, func(old TurnedAway) bool {
		return old.Node == one.Node && old.Fleet == one.Fleet && old.Address == one.Address && old.Reason == one.Reason
	})
	if at >= 0 {
		one.Times += a.last[at].Times
		a.last = slices.Delete(a.last, at, at+1)
	}
	a.last = append(a.last, one)
	if len(a.last) > turnedKept {
		a.last = slices.Delete(a.last, 0, 1)
	}
	if one.Times&(one.Times-1) == 0 {
		a.log.Warn("proxy turned away", "node", one.Node, "fleet", one.Fleet, "address", one.Address, "why", one.Why, "times", one.Times)
	}
}

func hostOf(a net.Addr) string {
	if a == nil {
		return ""
	}
	if host, _, err := net.SplitHostPort(a.String()); err == nil {
		return host
	}
	return a.String()
}

// TurnedAway are the proxies that were turned away last, the newest first.
func (s *Server) TurnedAway() []TurnedAway {
	s.turnedAway.mu.Lock()
	defer s.turnedAway.mu.Unlock()
	out := slices.Clone(s.turnedAway.last)
	slices.Reverse(out)
	return out
}

// TurnedAwayFor counts the streams and connections that were turned away for a reason.
func (s *Server) TurnedAwayFor(r Reason) uint64 {
	s.turnedAway.mu.Lock()
	defer s.turnedAway.mu.Unlock()
	return s.turnedAway.counts[r]
}
