package web

import (
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/xds"
)

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	got := w.ask("GET", "/metrics", "").Body.String()
	faults, err := promlint.New(strings.NewReader(got)).Lint()
	if err != nil || len(faults) > 0 {
		t.Fatalf("%v %v in %s", faults, err, got)
	}
	version := "unknown"
	if build, ok := debug.ReadBuildInfo(); ok {
		version = build.Main.Version
	}
	lines := strings.Split(got, "\n")
	for _, want := range []string{
		`edgewright_info{commit="0123456789abcdef",version="` + version + `"} 1`,
		`edgewright_proxies{fleet="edge"} 1`,
		`edgewright_proxy_behind{fleet="edge",node="envoy-1"} 2`,
		`edgewright_proxy_lag_seconds{fleet="edge",node="envoy-1"} 3`,
		`edgewright_proxy_refusals{fleet="edge"} 1`,
		`edgewright_services{state="changing"} 0`,
		`edgewright_services{state="converged"} 1`,
		`edgewright_services{state="held"} 1`,
		`edgewright_steps_pending{state="applying"} 1`,
		`edgewright_steps_pending{state="vetoed"} 1`,
		`edgewright_steps_pending{state="failing"} 0`,
		`edgewright_zone_up{scope="zone/example.com"} 1`,
		`edgewright_zone_up{scope="zone/example.org"} 0`,
		`edgewright_source_up 1`,
		`edgewright_forge_up 1`,
		`edgewright_problems 1`,
		`edgewright_waits_for_person 1`,
		`edgewright_leads 1`,
		`edgewright_lease_epoch 3`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("misses %s", want)
		}
	}
	if n := strings.Count(got, "\nedgewright_zone_age_seconds{"); n != 1 {
		t.Errorf("%d zones have an age, want the one that was listed", n)
	}
}

// TestMetricsHoldUp: no state makes collecting fail, which would end the program.
func TestMetricsHoldUp(t *testing.T) {
	w := newWorld(t)
	w.loop.view = &reconciler.View{Commit: "\xff"}
	w.proxies.nodes = []xds.Node{{ID: "\xff\xfe", Fleet: "edge"}}
	if got := w.ask("GET", "/metrics", ""); got.Code != 200 || !strings.Contains(got.Body.String(), `edgewright_proxy_behind{fleet="edge"`) {
		t.Errorf("got %d %s", got.Code, got.Body)
	}
}
