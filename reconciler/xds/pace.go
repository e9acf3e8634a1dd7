package xds

import (
	"net"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How fast streams may be opened, and requests be made on one. A thousand proxies come back within seconds, and one that opens
// streams without end does not keep the others out.
const (
	newStreams, newStreamsAtOnce = 200, 1000 // a second, and at once after a rest: by all
	oneAddress, oneAddressAtOnce = 50, 300   // by one address
	addresses                    = 1024      // that are told apart
	requestsASecond              = 500       // on one stream: more are read later
	requestsAtOnce               = 2000
)

// pace is how fast streams were opened of late.
type pace struct {
	mu  sync.Mutex
	all *rate.Limiter
	by  map[string]*rate.Limiter // address → its own

	swept time.Time // when those that had rested were forgotten last
}

func newPace() *pace {
	return &pace{all: rate.NewLimiter(newStreams, newStreamsAtOnce), by: map[string]*rate.Limiter{}}
}

// allow tells whether a stream may be opened now.
func (p *pace) allow(from net.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	own := p.of(hostOf(from), now)
	return own.AllowN(now, 1) && p.all.AllowN(now, 1)
}

func (p *pace) of(address string, now time.Time) *rate.Limiter {
	if l := p.by[address]; l != nil {
		return l
	}
	if len(p.by) >= addresses && now.Sub(p.swept) >= time.Second {
		p.swept = now
		for other, l := range p.by {
			if l.TokensAt(now) >= oneAddressAtOnce {
				delete(p.by, other)
			}
		}
	}
	if len(p.by) >= addresses {
		address = "" // shared by those that there is no room for
		if l := p.by[address]; l != nil {
			return l
		}
	}
	l := rate.NewLimiter(oneAddress, oneAddressAtOnce)
	p.by[address] = l
	return l
}
