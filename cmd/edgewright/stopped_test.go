package main

import (
	"testing"
	"time"

	proxy "github.com/edgewright/edgewright/fixtures/wire"
)

// TestStopped tells the real daemon to end (SIGTERM) while a call is on the wire. A call that is answered in time is finished: the journal
// has its outcome or its token. One that is not is cut off in bounded time, and stays open in the journal. The next daemon ends where the
// first would have ended, and nothing is done twice.
func TestStopped(t *testing.T) {
	k := startKilled(t)
	for _, c := range []struct {
		what    string
		answers time.Duration // after so long
		most    time.Duration // until the daemon has ended
		met     string
	}{
		{"while a call takes a second", time.Second, 6 * time.Second, "a change that had not spread"},
		{"while a call hangs", time.Minute, 9 * time.Second, "a call on its way"},
	} {
		k.slow(c.answers)
		k.next()
		if !k.busy() {
			t.Fatalf("%s: nothing was on the wire", c.what)
		}
		began := time.Now()
		if err := k.Daemon.Stop(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > c.most {
			t.Errorf("%s: it took %s to end, want %s at most", c.what, took, c.most)
		}
		if met := k.met(); met != c.met {
			t.Errorf("%s: what is left is %q, want %q", c.what, met, c.met)
		}
		k.slow(40 * time.Millisecond)
		k.start()
		k.settle()
		k.checkRound()
	}
	k.checkBooks()
}

// slow delays every write.
func (k *killed) slow(by time.Duration) {
	k.Wire.Slow(func(c *proxy.Call) time.Duration {
		if c.Write {
			return by
		}
		return 5 * time.Millisecond
	})
}
