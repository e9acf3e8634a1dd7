package budget

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var limits = Limits{Account: Limit{Rate: 10, Burst: 50}, Action: Limit{Rate: 10, Burst: 50}}

// account is what AWS does with requests: it counts them against its own limit, which the budget does not see.
type account struct {
	mu     sync.Mutex
	bucket *bucket
}

// admit tells whether a request is within the limit.
func (a *account) admit() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if a.bucket.wait(now, 1, 0) > 0 {
		return false
	}
	a.bucket.take(now, 1)
	return true
}

// strict makes an account with exactly this limit.
func strict(l Limit) *account {
	b := newBucket(Limit{}, time.Now())
	b.rate, b.capacity, b.tokens = l.Rate, l.Burst, l.Burst
	return &account{bucket: b}
}

func TestNothingIsThrottledWithinTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, l := range []Limit{{10, 50}, {5, 5}, {5, 1}, {0.5, 50}} {
			a, b := strict(l), New(Limits{Account: l, Action: l}, time.Now)
			began, random := time.Now(), rand.New(rand.NewPCG(1, 2))
			var all sync.WaitGroup
			for range 300 {
				pause := time.Duration(random.IntN(2000)) * time.Millisecond
				all.Go(func() {
					time.Sleep(pause)
					if err := b.Wait(t.Context(), Job{Class: People}, Call{Action: "Get"}); err != nil {
						t.Error(err)
					}
					if !a.admit() {
						t.Errorf("%v: a request was refused", l)
					}
				})
			}
			all.Wait()
			ideal := time.Duration((300 - l.Burst) / l.Rate * float64(time.Second))
			if took := time.Since(began); took > ideal*5/4+5*time.Second {
				t.Errorf("%v: 300 requests took %v, of which the limit asks %v", l, took, ideal)
			}
		}
	})
}

func TestActionsAndChangesHaveTheirOwnLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Limits{Actions: map[string]Limit{"Create": {Rate: 1, Burst: 1}}, Changes: Limit{Rate: 1000, Burst: 1000}}, time.Now)
		took := func(c Call, times int) time.Duration {
			began := time.Now()
			for range times {
				if err := b.Wait(t.Context(), Job{}, c); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(began).Round(time.Millisecond)
		}
		for _, c := range []struct {
			call  Call
			times int
			want  time.Duration
		}{
			{Call{Action: "Get"}, 1000, 0},
			{Call{Action: "Create"}, 10, 10 * time.Second},
			{Call{Action: "Change", Changes: 900}, 3, 2 * time.Second},
			{Call{Action: "Change", Changes: 5000}, 1, time.Second}, // more than ever fits: once the bucket is full
		} {
			if got := took(c.call, c.times); got < c.want*9/10 || got > c.want*12/10 {
				t.Errorf("%d of %v took %v, want %v", c.times, c.call, got, c.want)
			}
		}
	})
}

func TestPeopleGoFirstAndNobodyStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Limits{Account: Limit{Rate: 2, Burst: 1}}, time.Now)
		began := time.Now()
		var mu sync.Mutex
		var order []string
		ask := func(who string, j Job) {
			if err := b.Wait(t.Context(), j, Call{Action: "Get"}); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, who)
		}
		ask("first", Job{})
		var all sync.WaitGroup
		for _, c := range []struct {
			who   string
			job   Job
			after time.Duration
		}{
			{"a listing begun later", Job{Begun: began.Add(time.Millisecond)}, time.Millisecond},
			{"a listing", Job{Begun: began}, 2 * time.Millisecond},
			{"a person", Job{Class: People, Begun: began.Add(time.Second)}, 3 * time.Millisecond},
		} {
			all.Go(func() { time.Sleep(c.after); ask(c.who, c.job) })
		}
		all.Wait()
		want := []string{"first", "a person", "a listing", "a listing begun later"}
		if !slices.Equal(order, want) {
			t.Errorf("the order is %q, want %q", order, want)
		}
		var done time.Duration
		all.Go(func() { ask("patient", Job{Begun: time.Now()}); done = time.Since(began) })
		for range 200 { // twice what the rate allows, all the time
			all.Go(func() { ask("busy", Job{Class: People, Begun: time.Now()}) })
			time.Sleep(250 * time.Millisecond)
		}
		all.Wait()
		if done > patience+5*time.Second {
			t.Errorf("background work had its turn after %v", done)
		}
	})
}

func TestBackgroundLeavesSomethingForPeople(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(limits, time.Now)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		for b.Wait(ctx, Job{}, Call{Action: "List"}) == nil { // all that it may
		}
		if s := b.State(); s.Saved < 10 {
			t.Errorf("listings left %.1f requests", s.Saved)
		}
		began := time.Now()
		for range 10 {
			if err := b.Wait(t.Context(), Job{Class: People}, Call{Action: "Change"}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("people waited %v", took)
		}
	})
}

func TestThrottlingHalvesAndCreepsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := New(limits, time.Now), strict(Limit{Rate: 3, Burst: 3}) // somebody else takes the rest
		refused, asked := 0, 0
		began := time.Now()
		for time.Since(began) < 10*time.Minute {
			if err := b.Wait(t.Context(), Job{Class: People}, Call{Action: "Get"}); err != nil {
				t.Fatal(err)
			}
			if asked++; !a.admit() {
				refused++
				b.Throttled(Call{Action: "Get"})
			}
		}
		if refused == 0 || refused > asked/50 {
			t.Errorf("%d of %d requests were refused, want a few", refused, asked)
		}
		if served := float64(asked-refused) / time.Since(began).Seconds(); served < 2 {
			t.Errorf("%.1f requests a second were made of the 3 that are allowed", served)
		}
		if s := b.State(); s.Actions["Get"] != (Count{Requests: asked, Throttled: refused}) || s.Rate >= s.Limit {
			t.Errorf("the state says %+v", s)
		}
		time.Sleep(recovery)
		if s := b.State(); s.Rate != s.Limit || s.Limit != 9 {
			t.Errorf("after a rest the rate is %.2f of %.2f", s.Rate, s.Limit)
		}
		for range 100 { // in the same moment: one refusal
			b.Throttled(Call{Action: "Get"})
		}
		if s := b.State(); s.Rate != s.Limit/2 || s.Saved > 0 {
			t.Errorf("after refusals at one moment the rate is %.2f of %.2f, %.1f saved", s.Rate, s.Limit, s.Saved)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Limits{Account: Limit{Rate: 0.1, Burst: 1}}, time.Now)
		if err := b.Wait(t.Context(), Job{}, Call{Action: "Get"}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.Wait(ctx, Job{}, Call{Action: "Get"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("the wait ended with %v after %v", err, time.Since(began))
		}
		if s := b.State(); s.Actions["Get"].Requests != 1 || s.Background != 0 {
			t.Errorf("a call that was not made is counted: %+v", s)
		}
	})
}
