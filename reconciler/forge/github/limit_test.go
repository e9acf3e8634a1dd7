package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
)

func TestWritesArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &strict{T: t, head: "abc"}
		c := s.client(nil)
		start := time.Now()
		var at []time.Duration
		s.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet {
				at = append(at, time.Since(start))
			}
			return false
		}
		for i := range 200 {
			err := c.Post(t.Context(), forge.Target{SHA: fmt.Sprintf("c%d", i), CheckOnly: true}, forge.Review{})
			var limited *LimitedError
			if errors.As(err, &limited) {
				time.Sleep(limited.RetryAfter)
			} else if err != nil {
				t.Fatal(err)
			}
		}
		for i, from := range at {
			for j := i; j < len(at) && at[j] < from+time.Minute; j++ {
				if j-i+1 > 80 {
					t.Fatalf("more than 80 writes in the minute after %s", from)
				}
			}
		}
		if len(at) < 150 {
			t.Errorf("only %d writes", len(at))
		}
	})
}

func TestAnHourIsPacedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, n, start := newPace(), 0, time.Now()
		for time.Since(start) < time.Hour {
			done, err := p.turn(t.Context(), true)
			var limited *LimitedError
			if errors.As(err, &limited) {
				time.Sleep(limited.RetryAfter)
				continue
			}
			n++
			done()
		}
		if n > 500 || n < 400 {
			t.Errorf("%d writes in the first hour, want 400 to 500", n)
		}
	})
}

func TestPeopleBeforeBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace()
		first, err := p.turn(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var order []string
		wait := func(name string, background bool) {
			done, err := p.turn(t.Context(), background)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
			done()
		}
		for _, w := range []struct {
			name       string
			background bool
		}{{"b1", true}, {"b2", true}, {"p1", false}, {"p2", false}} {
			go wait(w.name, w.background)
			synctest.Wait()
		}
		gone, cancel := context.WithCancel(t.Context())
		go func() { _, _ = p.turn(gone, false) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		first()
		synctest.Wait()
		if got := strings.Join(order, " "); got != "p1 p2 b1 b2" {
			t.Errorf("order %s", got)
		}
		if p.busy {
			t.Error("a turn was lost")
		}
	})
}

func TestLimitsInEveryForm(t *testing.T) {
	reset := func(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }
	for _, c := range []struct {
		name   string
		code   int
		header map[string]string
		body   string
		want   time.Duration // 0: no limit
	}{
		{"Retry-After", 403, map[string]string{"Retry-After": "30"}, `{"message":"x"}`, 30 * time.Second},
		{"429", 429, nil, `{"message":"x"}`, time.Minute},
		{"429 with Retry-After", 429, map[string]string{"Retry-After": "5"}, `{}`, 5 * time.Second},
		{"primary", 403, map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "5000", "X-RateLimit-Reset": reset(10 * time.Minute)}, `{"message":"API rate limit exceeded"}`, 10 * time.Minute},
		{"secondary without a header", 403, map[string]string{"X-RateLimit-Remaining": "4000", "X-RateLimit-Reset": reset(50 * time.Minute)},
			`{"message":"You have exceeded a secondary rate limit","documentation_url":"https://docs.github.com/x#about-secondary-rate-limits"}`, time.Minute},
		{"abuse", 422, nil, `{"message":"Validation Failed","errors":[{"resource":"IssueComment","code":"abuse"}]}`, time.Minute},
		{"too quickly", 403, nil, `{"message":"was submitted too quickly, abuse detection"}`, time.Minute},
		{"forbidden", 403, nil, `{"message":"Resource not accessible by integration"}`, 0},
		{"too long", 422, nil, `{"message":"Validation Failed","errors":[{"code":"unprocessable","message":"Body is too long"}]}`, 0},
		{"broken", 502, nil, `<html>`, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &strict{T: t, head: "abc"}
			s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				for name, value := range c.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(c.code)
				_, _ = io.WriteString(w, c.body)
				return true
			}
			err := s.client(nil).Post(t.Context(), forge.Target{SHA: "abc", CheckOnly: true}, forge.Review{})
			var limited *LimitedError
			switch {
			case err == nil:
				t.Error("no error")
			case errors.As(err, &limited) != (c.want > 0):
				t.Errorf("got %v", err)
			case c.want > 0 && (limited.RetryAfter > c.want || limited.RetryAfter < c.want-2*time.Second):
				t.Errorf("again in %s, want %s", limited.RetryAfter, c.want)
			}
		})
	}
}

func TestAPauseEndsAndGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &strict{T: t, head: "abc"}
		c := s.client(nil)
		refusing := true
		s.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if refusing {
				w.WriteHeader(429)
			}
			return refusing
		}
		target := forge.Target{SHA: "abc", CheckOnly: true}
		for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute} {
			var limited *LimitedError
			if err := c.Post(t.Context(), target, forge.Review{}); !errors.As(err, &limited) || limited.RetryAfter != want {
				t.Fatalf("got %v, want a pause of %s", err, want)
			}
			asked := len(s.log)
			time.Sleep(want - time.Second)
			if err := c.Post(t.Context(), target, forge.Review{}); err == nil || len(s.log) != asked {
				t.Fatalf("the forge was asked within its pause: %v", err)
			}
			time.Sleep(time.Second)
		}
		refusing = false
		if err := c.Post(t.Context(), target, forge.Review{}); err != nil || s.checks != 1 {
			t.Errorf("after the pause: %v, %d checks", err, s.checks)
		}
	})
}
