package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler/web"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// TestStatusTellsWhoWasTurnedAway has a proxy without a name and one with.
func TestStatusTellsWhoWasTurnedAway(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	err := tellStatus(&out, web.Status{Turned: []xds.TurnedAway{
		{Node: "one", Fleet: "moon", Address: "192.0.2.7", Why: "the token is not known", Last: noon, Times: 3},
		{Address: "192.0.2.8", Why: "tls: no certificate", Last: noon, Times: 1},
	}})
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"one moon 192.0.2.7 2026-01-02T12:00:00Z 3 the token is not known", "unnamed 192.0.2.8 2026-01-02T12:00:00Z 1 tls: no certificate"} {
		if !strings.Contains(said, want) {
			t.Errorf("status lacks %q:\n%s", want, out.String())
		}
	}
}
