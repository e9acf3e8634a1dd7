package reconciler_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/plan"
)

// While no proxy acknowledges, exactly those steps stay that the plan had told to wait for one that every proxy has to acknowledge, or
// for one that stays itself.
func TestWaitsAsForetold(t *testing.T) {
	for name, stays := range map[string]int{"host-added": 1, "host-moved": 0, "host-removed": 0, "service-added": 1, "service-removed": 0,
		"service-renamed": 0, "weights": 0, "exposure": 1, "ttl": 0} {
		t.Run(name, func(t *testing.T) {
			archive, err := txtar.ParseFile(filepath.Join("testdata", "plan", name+".txtar"))
			if err != nil {
				t.Fatal(err)
			}
			b := newBench(t)
			b.converged()
			files := b.tree()
			for _, f := range archive.Files {
				switch f.Name {
				case "edits":
					files = edited(t, files, string(f.Data))
				case "plan":
				default:
					files = with(files, f.Name, func(string) string { return string(f.Data) })
				}
			}
			p, err := b.Preview(t.Context(), reconciler.Preview{Files: files})
			if err != nil || len(p.Steps) == 0 {
				t.Fatal(p, err)
			}
			b.show(7, files)
			b.proxies.acknowledge(false)
			b.merge(7)
			var want, got []string
			for i := range p.Steps {
				if held(plan.Waits(p.Steps), i) {
					want = append(want, p.Steps[i].Key.String())
				}
			}
			b.until("all that can be done is done", func() bool {
				got = nil
				v := b.View()
				for _, s := range v.Steps {
					if s.State != reconciler.Waits {
						return false
					}
					got = append(got, s.Key.String())
				}
				return v.Commit == b.repository.tip()
			})
			slices.Sort(want)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("what waits is not what was foretold (-want +got):\n%s", diff)
			}
			if len(got) != stays {
				t.Errorf("%d steps wait, want %d", len(got), stays)
			}
			b.proxies.acknowledge(true)
			b.until("all is done", func() bool { return len(b.View().Steps) == 0 })
		})
	}
}

// held tells whether a step waits, by whatever way, for one that proxies have to acknowledge.
func held(waits [][]plan.Wait, i int) bool {
	return slices.ContainsFunc(waits[i], func(w plan.Wait) bool {
		return w.Until == plan.Served || !w.Until.AtOnce() && held(waits, w.On)
	})
}
