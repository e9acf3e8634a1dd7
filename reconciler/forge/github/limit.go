package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/go-github/v60/github"
	"golang.org/x/time/rate"
)

// LimitedError says that the forge wants to be left alone for a while, or that our own pace does. Nothing was written.
type LimitedError struct {
	RetryAfter time.Duration
	Why        string
}

func (e *LimitedError) Error() string {
	return fmt.Sprintf("the forge limits requests: %s; again in %s", e.Why, e.RetryAfter.Round(time.Second))
}

// GitHub allows about 80 writing requests a minute and 500 an hour.
const (
	aMinute, minuteBurst = 60, 20
	anHour, hourBurst    = 380, 120
	longestWait          = 20 * time.Second
	firstPause           = time.Minute // where the forge names none
	longestPause         = 15 * time.Minute
)

// pace lets one write go out at a time, people's before background ones, not faster than the forge allows.
type pace struct {
	minute, hour *rate.Limiter

	mu         sync.Mutex
	busy       bool
	people     []chan struct{}
	background []chan struct{}
	until      time.Time // the forge wants no request before
	times      int       // that it said so in a row
}

func newPace() *pace {
	return &pace{minute: rate.NewLimiter(rate.Limit(aMinute)/60, minuteBurst), hour: rate.NewLimiter(rate.Limit(anHour)/3600, hourBurst)}
}

// blocked says how long the forge wants to be left alone.
func (p *pace) blocked() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if left := time.Until(p.until); left > 0 {
		return &LimitedError{left, "it asked for a pause"}
	}
	return nil
}

// turn waits until a write may go out; done must be called after it.
func (p *pace) turn(ctx context.Context, background bool) (done func(), err error) {
	if err := p.queue(ctx, background); err != nil {
		return nil, err
	}
	if err := p.blocked(); err != nil {
		p.release()
		return nil, err
	}
	if err := p.reserve(ctx); err != nil {
		p.release()
		return nil, err
	}
	return p.release, nil
}

func (p *pace) queue(ctx context.Context, background bool) error {
	p.mu.Lock()
	if !p.busy {
		p.busy = true
		p.mu.Unlock()
		return nil
	}
	called := make(chan struct{})
	if background {
		p.background = append(p.background, called)
	} else {
		p.people = append(p.people, called)
	}
	p.mu.Unlock()
	select {
	case <-called:
		return nil
	case <-ctx.Done():
		p.leave(called)
		return ctx.Err()
	}
}

// leave takes a waiter out who gave up, or passes the turn on that reached him meanwhile.
func (p *pace) leave(called chan struct{}) {
	p.mu.Lock()
	for _, line := range []*[]chan struct{}{&p.people, &p.background} {
		for i, waiting := range *line {
			if waiting == called {
				*line = append((*line)[:i:i], (*line)[i+1:]...)
				p.mu.Unlock()
				return
			}
		}
	}
	p.mu.Unlock()
	p.release()
}

func (p *pace) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range []*[]chan struct{}{&p.people, &p.background} {
		if len(*line) > 0 {
			close((*line)[0])
			*line = (*line)[1:]
			return
		}
	}
	p.busy = false
}

// reserve waits for both allowances, or says how long when that is too long to wait here.
func (p *pace) reserve(ctx context.Context) error {
	now := time.Now()
	minute, hour := p.minute.ReserveN(now, 1), p.hour.ReserveN(now, 1)
	wait := max(minute.DelayFrom(now), hour.DelayFrom(now))
	if wait > longestWait {
		minute.CancelAt(now)
		hour.CancelAt(now)
		return &LimitedError{wait, "our own pace, below the forge's limit"}
	}
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// note remembers what an answer says about limits, and gives a *LimitedError where it is one.
func (p *pace) note(err error, now time.Time) error {
	after, limited := pause(err, now)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !limited {
		if err == nil {
			p.times = 0
		}
		return err
	}
	if after <= 0 {
		after = min(firstPause<<min(p.times, 10), longestPause)
	}
	p.times++
	if until := now.Add(after); until.After(p.until) {
		p.until = until
	}
	return &LimitedError{after, "it said so"}
}

// pause tells whether an error is a limit, and for how long where the forge says; zero: it does not.
func pause(err error, now time.Time) (after time.Duration, limited bool) {
	var primary *github.RateLimitError
	var secondary *github.AbuseRateLimitError
	var other *github.ErrorResponse
	switch {
	case errors.As(err, &primary):
		return min(max(primary.Rate.Reset.Sub(now), time.Second), time.Hour), true
	case errors.As(err, &secondary) && secondary.RetryAfter != nil:
		return min(*secondary.RetryAfter, time.Hour), true
	case errors.As(err, &secondary):
		return stated(secondary.Response, now), true
	case errors.As(err, &other) && isLimit(other):
		return stated(other.Response, now), true
	}
	return 0, false
}

// isLimit knows a secondary limit also where it comes without its headers, or as 422.
func isLimit(e *github.ErrorResponse) bool {
	if e.Response == nil {
		return false
	}
	switch e.Response.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		message := strings.ToLower(e.Message)
		return e.Response.Header.Get("Retry-After") != "" || strings.Contains(message, "rate limit") || strings.Contains(message, "abuse")
	case http.StatusUnprocessableEntity:
		for _, fault := range e.Errors {
			if fault.Code == "abuse" || strings.Contains(fault.Message, "submitted too quickly") {
				return true
			}
		}
	}
	return false
}

// stated is the pause that the headers ask for.
func stated(r *http.Response, now time.Time) time.Duration {
	if r == nil {
		return 0
	}
	if seconds, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if reset, err := strconv.ParseInt(r.Header.Get("X-RateLimit-Reset"), 10, 64); err == nil && r.Header.Get("X-RateLimit-Remaining") == "0" {
		return min(max(time.Unix(reset, 0).Sub(now), time.Second), time.Hour)
	}
	return 0
}

// read makes a request that writes nothing.
func (c *Client) read(ctx context.Context, do func(context.Context) error) error {
	if err := c.pace.blocked(); err != nil {
		return err
	}
	return c.pace.note(do(ctx), time.Now())
}

// write makes a request that writes, in its turn.
func (c *Client) write(ctx context.Context, background bool, do func(context.Context) error) error {
	done, err := c.pace.turn(ctx, background)
	if err != nil {
		return err
	}
	defer done()
	return c.pace.note(do(ctx), time.Now())
}
