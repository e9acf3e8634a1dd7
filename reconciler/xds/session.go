package xds

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// lastWords is how long a session that is over may take to send what it is sending.
const lastWords = time.Second

// link is one gRPC stream of a proxy.
type link struct {
	ctx  context.Context
	wire wire
	only string // the type that it carries; empty: any

	requests chan message // as they come, from receive
	ended    chan error   // its end
}

func newLink(ctx context.Context, only string, w wire) *link {
	return &link{ctx: ctx, wire: w, only: only, requests: make(chan message), ended: make(chan error, 1)}
}

// session joins the streams of one proxy: one for all types, or one for each. When one ends all end, and the proxy opens them again
// with what it has.
type session struct {
	key       string
	before    *session // of the same proxy; it ends first
	requests  chan incoming
	over      chan struct{}         // closed when it is to end
	gone      chan struct{}         // closed when nothing is sent any more
	questions chan chan<- Inspected // what the proxy has
	patience  time.Duration         // that one answer may take to be sent

	mu    sync.Mutex // guards what follows
	cause error      // of the end
	links map[*link]bool
	types map[string]*link // that carries each type served
}

type incoming struct {
	from *link
	message
}

func newSession(key string, before *session, patience time.Duration) *session {
	return &session{
		key: key, before: before, requests: make(chan incoming), over: make(chan struct{}), gone: make(chan struct{}), questions: make(chan chan<- Inspected),
		patience: patience, links: map[*link]bool{}, types: map[string]*link{},
	}
}

// carry makes a link the one that carries a type. It does not when another does, or when the session is over.
func (k *session) carry(l *link, url string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause != nil || k.types[url] != nil && k.types[url] != l {
		return false
	}
	k.links[l] = true
	if wildcard(url) || byName(url) {
		k.types[url] = l
	}
	return true
}

// any is a link of the session.
func (k *session) any() *link {
	k.mu.Lock()
	defer k.mu.Unlock()
	for l := range k.links {
		return l
	}
	return nil
}

// end ends the session; only the first cause counts.
func (k *session) end(cause error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cause == nil {
		k.cause = cause
		close(k.over)
	}
}

func (k *session) why() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cause
}

// close is called when nothing is read or sent any more.
func (k *session) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for l := range k.links {
		l.wire.close(k.key)
	}
	close(k.gone)
}

// stall ends the session of a proxy that does not read.
func (k *session) stall() {
	k.end(status.Errorf(codes.DeadlineExceeded, "the proxy has not read an answer within %v", k.patience))
}

// send sends an answer on the link that carries its type.
func (k *session) send(l *ledger, r prepared) (bool, error) {
	k.mu.Lock()
	to, cause := k.types[l.url], k.cause
	k.mu.Unlock()
	if cause != nil {
		return false, cause
	}
	if to == nil {
		return false, fmt.Errorf("no stream carries %s", l.url)
	}
	timer := time.AfterFunc(k.patience, k.stall)
	defer timer.Stop()
	return to.wire.send(l, r)
}

// recognise tells whether these are what the proxy said that it has of a type that it asks for.
func (k *session) recognise(url string, all []*discoveryv3.Resource) bool {
	k.mu.Lock()
	to := k.types[url]
	k.mu.Unlock()
	return to.wire.recognise(url, all)
}

// follow hands what comes on a link to the session, until either ends, or the proxy may not be there any more. Its return ends the gRPC
// stream, which lets go a session that waits to send on it.
func (k *session) follow(l *link, first message, again <-chan time.Time, may func() error) error {
	next, to, from := incoming{l, first}, k.requests, (<-chan message)(nil)
	over, late, ended := k.over, (<-chan time.Time)(nil), l.ended
	var own error
	for {
		select {
		case to <- next:
			to, from = nil, l.requests
		case next.message = <-from:
			to, from = k.requests, nil
		case own = <-ended:
			ended = nil
			k.end(status.Error(codes.Unavailable, "a stream of this proxy has ended"))
		case <-again:
			if err := may(); err != nil {
				own, again = err, nil
				k.end(own)
			}
		case <-k.gone:
			return either(own, k.why())
		case <-over:
			over, late = nil, time.After(lastWords)
		case <-late:
			return either(own, k.why())
		}
	}
}

func either(own, other error) error {
	if own != nil {
		return own
	}
	return other
}

// receive reads requests until the stream ends.
func (l *link) receive() {
	pace := rate.NewLimiter(requestsASecond, requestsAtOnce)
	for {
		r, err := l.wire.receive()
		if err == nil {
			err = pace.Wait(l.ctx)
		}
		if err != nil {
			l.ended <- err
			return
		}
		select {
		case l.requests <- r:
		case <-l.ctx.Done():
			l.ended <- l.ctx.Err()
			return
		}
	}
}

// from is the address that the stream comes from.
func (l *link) from() net.Addr {
	if p, ok := peer.FromContext(l.ctx); ok {
		return p.Addr
	}
	return nil
}

// check tells whether a request may come on this link.
func (l *link) check(m message) error {
	switch url := m.GetTypeUrl(); {
	case url == "":
		return status.Error(codes.InvalidArgument, "a request on an aggregated stream has no type_url")
	case l.only != "" && url != l.only:
		return status.Errorf(codes.InvalidArgument, "type_url %.100q on a stream of %s", url, l.only)
	}
	return nil
}
