package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/demo"
	"github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/fixtures/load"
	calls "github.com/edgewright/edgewright/fixtures/wire"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
	"github.com/edgewright/edgewright/reconciler/web"
)

// TestSecondDaemonTakesOver starts two daemons on one state folder. The second waits; it takes over at once when the first is killed, and
// after the lease when the first is stopped in the middle of a call. What the first does when it wakes up changes nothing.
func TestSecondDaemonTakesOver(t *testing.T) {
	self, tools := program(t)
	t.Setenv("EDGEWRIGHT_TEST_MAIN", "1")
	d, err := demo.Start(t.Context(), demo.Config{Dir: t.TempDir(), Tools: tools, Command: []string{self}, Envoys: 1, Out: t.Output(), Flags: []string{"--lease", "2s"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Stop() })
	p := &pair{T: t, demo: d, first: d.Daemon}
	p.leads(p.first)
	p.second = p.another("second")
	p.waits(p.second)
	p.envoyOf(p.second)

	killed := time.Now()
	p.first.Kill()
	p.leads(p.second)
	if took := time.Since(killed); took > 2*time.Second {
		t.Errorf("it took %s to take over from a process that was killed: it was waited for", took)
	}
	p.heals("203.0.113.1")

	p.third = p.another("third")
	p.envoyOf(p.third)
	p.stopsInACall()
	if twice := d.Wire.Duplicates(); len(twice) > 0 {
		t.Errorf("%d writes were made twice", len(twice))
	}
	if err := p.third.Stop(); err != nil {
		t.Error(err)
	}
	p.leads(p.second)
	p.endsInTime()
	p.booksAreWhole()
}

// pair is the daemons of a test, of which one leads.
type pair struct {
	*testing.T
	demo                 *demo.Demo
	first, second, third *demo.Daemon
}

const healed = "jira.acme.example"

func (p *pair) another(name string) *demo.Daemon {
	p.Helper()
	d, err := p.first.Another(name)
	if err == nil {
		err = d.Start(p.Context())
	}
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(d.Kill)
	return d
}

func (p *pair) envoyOf(d *demo.Daemon) {
	p.Helper()
	e, err := envoy.Start(p.Context(), envoy.Config{Binary: envoy.Binary(p.demo.Tools), Dir: p.TempDir(), Node: "envoy-" + strings.ReplaceAll(d.XDS, ":", "-"), Fleet: demo.Fleet, XDS: d.XDS})
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { _ = e.Stop() })
}

func (p *pair) until(what string, is func(context.Context) error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), 30*time.Second)
	defer cancel()
	if err := load.Until(ctx, 20*time.Millisecond, is); err != nil {
		p.Fatalf("%s: %v", what, err)
	}
}

// leads waits until a daemon leads, has converged, and says so.
func (p *pair) leads(d *demo.Daemon) {
	p.Helper()
	p.until("lead", func(ctx context.Context) error {
		var s web.Status
		_, text, err := d.Call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
		if err == nil && (!s.Leader.Leads || s.Verdict() != "converged") {
			err = fmt.Errorf("it is %s, led by %s %s\n%s", s.Verdict(), s.Leader.Holder, text, d.Log(5))
		}
		return err
	})
	if code, text, err := d.Call(p.Context(), http.MethodGet, "/readyz", nil, nil); err != nil || code != http.StatusOK {
		p.Errorf("readyz of who leads is %d %s, %v", code, text, err)
	}
	data, err := os.ReadFile(filepath.Join(d.State, addressFile))
	if err != nil || !strings.Contains(string(data), d.Web) {
		p.Errorf("the command line is led to %s (%v), want %s", data, err, d.Web)
	}
}

// waits holds that a daemon does not lead, and says who does.
func (p *pair) waits(d *demo.Daemon) {
	p.Helper()
	p.until("wait", func(ctx context.Context) error {
		code, text, err := d.Call(ctx, http.MethodGet, "/readyz", nil, nil)
		if err == nil && (code != http.StatusServiceUnavailable || !strings.Contains(text, "leads since")) {
			err = fmt.Errorf("readyz is %d %s", code, text)
		}
		return err
	})
	if code, text, err := d.Call(p.Context(), http.MethodPost, "/api/v1/apply", map[string]string{"digest": "d"}, nil); err != nil || code != http.StatusServiceUnavailable {
		p.Errorf("who waits takes an apply: %d %s, %v", code, text, err)
	}
}

// heals changes a record by hand and waits until it is put back.
func (p *pair) heals(by string) {
	p.Helper()
	want := p.record()
	if err := p.demo.Tamper(p.Context(), healed, by); err != nil {
		p.Fatal(err)
	}
	p.until("heal", func(context.Context) error {
		if got := p.record(); !slices.Equal(got, want) {
			return fmt.Errorf("%s is %v, want %v", healed, got, want)
		}
		return nil
	})
}

func (p *pair) record() []string {
	values, err := p.demo.Record(p.Context(), healed)
	if err != nil {
		p.Fatal(err)
	}
	return values
}

// stopsInACall stops the leader while its call is on the wire. Another takes over and does what was to be done; then the call arrives, and
// the leader of before wakes up.
func (p *pair) stopsInACall() {
	p.Helper()
	want := p.record()
	held := 0
	hold := p.demo.Wire.HoldBefore(func(c *calls.Call) bool {
		if c.Write && c.Action == "ChangeResourceRecordSets" && (held == 0 || held == c.Number) {
			held = c.Number
		}
		return held == c.Number
	})
	defer hold.Drop()
	if err := p.demo.Tamper(p.Context(), healed, "203.0.113.2"); err != nil {
		p.Fatal(err)
	}
	select {
	case <-hold.Reached():
	case <-time.After(20 * time.Second):
		p.Fatal("the call never came")
	}
	if err := syscall.Kill(p.second.PID(), syscall.SIGSTOP); err != nil {
		p.Fatal(err)
	}
	p.leads(p.third)
	if got := p.record(); !slices.Equal(got, want) {
		p.Errorf("%s is %v after the take-over, want %v", healed, got, want)
	}
	hold.Release()
	if err := syscall.Kill(p.second.PID(), syscall.SIGCONT); err != nil {
		p.Fatal(err)
	}
	p.waits(p.second)
	p.leads(p.third)
	if got := p.record(); !slices.Equal(got, want) {
		p.Errorf("%s is %v after the late call, want %v", healed, got, want)
	}
}

// endsInTime tells the leader to stop while a call gets no answer.
func (p *pair) endsInTime() {
	p.Helper()
	hold := p.demo.Wire.HoldAfter(calls.AnyWrite)
	defer hold.Drop()
	if err := p.demo.Tamper(p.Context(), healed, "203.0.113.3"); err != nil {
		p.Fatal(err)
	}
	select {
	case <-hold.Reached():
	case <-time.After(20 * time.Second):
		p.Fatal("the call never came")
	}
	began := time.Now()
	if err := p.second.Stop(); err != nil {
		p.Error(err)
	}
	if took := time.Since(began); took > 9*time.Second {
		p.Errorf("it took %s to end", took)
	}
}

// booksAreWhole holds that the call which was cut off is in the journal, and that the audit has a chain.
func (p *pair) booksAreWhole() {
	p.Helper()
	store, err := sqlite.Open(p.Context(), p.first.State)
	if err != nil {
		p.Fatal(err)
	}
	defer store.Close()
	books := reconciler.BooksOf(store)
	open, err := books.Journal.Open(p.Context())
	if err != nil || len(open) == 0 || open[len(open)-1].Steps[0].Key.Name != "A "+healed {
		p.Errorf("the journal has %d open calls, %v: want the one that was cut off", len(open), err)
	}
	if err := books.Audit.Verify(p.Context()); err != nil {
		p.Error(err)
	}
}
