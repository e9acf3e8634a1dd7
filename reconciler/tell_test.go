package reconciler_test

import (
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures"
)

// What changed is worked out for people only after proxies had time to take it.
func TestProxiesComeFirst(t *testing.T) {
	b := newBenchOf(t, fixtures.Declarations(fixtures.EdgeConfig()), func(b *bench) { b.yield = time.Minute })
	b.until("it is served", func() bool { _, is := b.proxies.serves(trelloHost); return is })
	time.Sleep(300 * time.Millisecond)
	if v := b.View(); v != nil && len(v.Services) > 0 {
		t.Errorf("%d services are shown already", len(v.Services))
	}
	b.ahead.Add(int64(time.Minute))
	b.until("it is shown", func() bool { v := b.View(); return v != nil && len(v.Services) > 0 })
}
