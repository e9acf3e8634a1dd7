package reconciler_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// TestPlans holds what a change of the fixture repository is planned as, and how that is worded. A case is files to lay over it
// and edits: "replace FILE `old` `new`" and "remove PREFIX". taken.acme.example is a record that is not ours.
func TestPlans(t *testing.T) {
	cases, err := filepath.Glob("testdata/plan/*.txtar")
	if err != nil || len(cases) < 18 {
		t.Fatalf("%d cases, want at least 18 (%v)", len(cases), err)
	}
	b := newBench(t)
	b.world.Put(b.zones["acme.example"], world.RecordSet{Name: "taken.acme.example.", Type: "A", TTL: new(int64(60)), ResourceRecords: &world.Records{ResourceRecord: []world.Value{{Value: "198.51.100.7"}}}})
	b.converged()
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files, want := b.tree(), ""
			for _, f := range archive.Files {
				switch f.Name {
				case "edits":
					files = edited(t, files, string(f.Data))
				case "plan":
					want = string(f.Data)
				default:
					files = with(files, f.Name, func(string) string { return string(f.Data) })
				}
			}
			got := b.planned(files)
			if *update {
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "plan" })
				archive.Files = append(archive.Files, txtar.File{Name: "plan", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("plan differs (-want +got):\n%s", diff)
			}
		})
	}
}

// planned is the plan as `edgewright plan` tells it. The digest, which changes with every file of the fixture, is left out.
func (b *bench) planned(files []load.File) string {
	b.Helper()
	p, err := b.Preview(b.Context(), reconciler.Preview{Files: files})
	if err != nil {
		b.Fatal(err)
	}
	var out strings.Builder
	for _, problem := range p.Problems {
		out.WriteString(schema.Format(problem) + "\n")
	}
	return out.String() + strings.ReplaceAll(forge.Text(p.Review(), forge.Terminal{}), p.Digest, "DIGEST")
}

var edit = regexp.MustCompile("^(replace|remove) ([^ ]+)(?: `([^`]*)` `([^`]*)`)?$")

func edited(t *testing.T, files []load.File, edits string) []load.File {
	t.Helper()
	for line := range strings.Lines(edits) {
		m := edit.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("no edit: %s", line)
		}
		before := fmt.Sprint(files)
		if m[1] == "remove" {
			files = slices.DeleteFunc(slices.Clone(files), func(f load.File) bool { return strings.HasPrefix(f.Path, m[2]) })
		} else {
			unescape := strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace
			files = with(files, m[2], func(s string) string { return strings.Replace(s, unescape(m[3]), unescape(m[4]), 1) })
		}
		if fmt.Sprint(files) == before {
			t.Fatalf("an edit that changes nothing: %s", line)
		}
	}
	return files
}
