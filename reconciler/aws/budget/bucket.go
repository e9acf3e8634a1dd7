package budget

import (
	"math"
	"time"
)

// Limit is what AWS allows: so many a second, and so many at once after a rest. The zero value is no limit.
type Limit struct {
	Rate  float64
	Burst float64
}

// Limits are those of one account.
type Limits struct {
	Account Limit            // requests of any action
	Action  Limit            // requests of one action
	Actions map[string]Limit // of those that have their own
	Changes Limit            // changes that requests carry
}

const (
	margin    = 0.9              // of a limit is used: clocks and the wire are not exact
	least     = 1.0 / 16         // of a limit is used in any case
	recovery  = 10 * time.Minute // from nothing to the whole limit
	same      = time.Second      // refusals that are so near to each other are one
	tolerance = 1e-9             // of sums of fractions
)

// bucket fills at a rate up to its capacity. Nothing may be taken that is not in it, but for more than it can hold, which waits until
// it is full and leaves a debt.
type bucket struct {
	rate     float64 // a second, at best; 0: no limit
	capacity float64
	tokens   float64
	filled   time.Time
	share    float64   // of the rate that is used now
	halved   time.Time // last
}

func newBucket(l Limit, now time.Time) *bucket {
	capacity := max(1, math.Floor(l.Burst*margin))
	return &bucket{rate: l.Rate * margin, capacity: capacity, tokens: capacity, filled: now, share: 1}
}

// fill brings the bucket up to a time.
func (b *bucket) fill(now time.Time) {
	passed := now.Sub(b.filled)
	if passed <= 0 {
		return
	}
	b.filled = now
	b.share = min(1, b.share+passed.Seconds()/recovery.Seconds())
	b.tokens = min(b.capacity, b.tokens+passed.Seconds()*b.rate*b.share)
}

// wait is how long until n can be taken so that rest is left.
func (b *bucket) wait(now time.Time, n, rest float64) time.Duration {
	b.fill(now)
	missing := min(n+rest, b.capacity) - b.tokens
	if b.rate == 0 || n == 0 || missing <= tolerance {
		return 0
	}
	return time.Duration(math.Ceil(missing / (b.rate * b.share) * float64(time.Second)))
}

func (b *bucket) take(now time.Time, n float64) {
	b.fill(now)
	b.tokens -= n
}

// halve uses half of the rate from now on, and nothing that was saved up.
func (b *bucket) halve(now time.Time) {
	b.fill(now)
	b.tokens = min(b.tokens, 0)
	if now.Sub(b.halved) < same {
		return
	}
	b.halved = now
	b.share = max(least, b.share/2)
}
