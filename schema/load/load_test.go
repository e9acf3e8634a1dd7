package load_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

var update = flag.Bool("update", false, "rewrite the goldens")

func loadAll(t testing.TB, files []load.File) load.Commit {
	t.Helper()
	commit, err := (&load.Loader{Evaluator: &load.Trusted{}, Today: func() schema.Date { return schema.Date{Year: 2026, Month: 3, Day: 1} }}).Load(context.Background(), files)
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

func TestFixturesLoad(t *testing.T) {
	commit := loadAll(t, fixtures.Declarations(fixtures.EdgeConfig()))
	for _, p := range commit.Problems {
		t.Error(p)
	}
	if got := len(commit.Edge.Services); got != 12 {
		t.Fatalf("%d services, want 12", got)
	}
	s, _ := commit.Edge.Service("bitbucket-git")
	if got := s.Routes[0].Action.(schema.Forward).To; !cmp.Equal(got, []schema.Destination{{Backend: "git", Weight: 100}}) {
		t.Errorf("single destination is %v, want all requests to git", got)
	}
	if got := s.Source.Find("routes[1].forward.timeout"); got.Line != 14 {
		t.Errorf("position of a field is %v, want line 14", got)
	}
}

// TestBadDeclarations holds the exact words of every problem that an author may meet. A case is the files that differ from the
// fixture repository, and the problems; an empty file is removed.
func TestBadDeclarations(t *testing.T) {
	cases, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(cases) < 30 {
		t.Fatalf("%d cases, want at least 30 (%v)", len(cases), err)
	}
	base := fixtures.Declarations(fixtures.EdgeConfig())
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files, want := overlay(base, archive)
			var got strings.Builder
			for _, p := range loadAll(t, files).Problems {
				fmt.Fprintf(&got, "%v\n\tpath: %s\n\thint: %s\n\tholds: %s\n\tline: %s\n", p, p.Path, p.Hint, p.Held(99), strings.TrimSpace(p.Line))
				if p.Message == "" || p.Position.Line == 0 {
					t.Errorf("problem %+v has no message or no line", p)
				}
			}
			if got.Len() == 0 {
				t.Fatal("no problem was found")
			}
			if *update {
				archive.Files = append(archive.Files[:len(archive.Files)-want.count], txtar.File{Name: "problems", Data: []byte(got.String())})
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want.text, got.String()); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
		})
	}
}

type golden struct {
	text  string
	count int
}

func overlay(base []load.File, archive *txtar.Archive) ([]load.File, golden) {
	files := append([]load.File{}, base...)
	var want golden
	for _, f := range archive.Files {
		if f.Name == "problems" {
			want = golden{string(f.Data), 1}
			continue
		}
		replaced := false
		for i := range files {
			if files[i].Path == f.Name {
				files[i].Data, replaced = f.Data, true
			}
		}
		if !replaced {
			files = append(files, load.File{Path: f.Name, Data: f.Data})
		}
	}
	kept := files[:0]
	for _, f := range files {
		if len(bytes.TrimSpace(f.Data)) > 0 {
			kept = append(kept, f)
		}
	}
	return kept, want
}

// TestFullCUE holds that a declaration may use the language: packages of the repository and of CUE, the schema itself, shared files,
// comprehensions; and that each value is known by the place where it was written.
func TestFullCUE(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/full.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files, _ := overlay(fixtures.Declarations(fixtures.EdgeConfig()), archive)
	commit := loadAll(t, files)
	for _, p := range commit.Problems {
		t.Error(p)
	}
	s, _ := commit.Edge.Service("trello-web")
	addresses, _ := s.Backends[0].Location.(schema.Addresses)
	if got := fmt.Sprintln(addresses, s.Backends[0].Health.Path, s.Routes[0].Name, s.Routes[1].Name, len(s.Routes)); got != "[127.0.0.1:9010 127.0.0.1:9011] /healthz v1 v2 3\n" {
		t.Errorf("the service is %s", got)
	}
	for path, want := range map[string]string{
		"hosts[0]":                  "services/trello/trello-web.cue:12:10",
		"backends.web.health.path":  "lib/check/check.cue:6:16",
		"owner.oncall":              "services/trello/shared.cue:3:34",
		"exposure":                  "services/shared.cue:3:10",
		"backends.web.addresses[1]": "services/trello/trello-web.cue:15:53",
		"routes[1].respond.status":  "services/trello/trello-web.cue:18:62",
		"routes[2].forward.timeout": "services/trello/trello-web.cue:21:60",
	} {
		if got := s.Source.Find(path).String(); got != want {
			t.Errorf("%s stands at %s, want %s", path, got, want)
		}
	}
}

// givenUp is an evaluator that was stopped on every unit.
type givenUp struct{}

func (givenUp) Evaluate(_ context.Context, units []load.Unit) ([]load.Result, error) {
	results := make([]load.Result, len(units))
	for i, u := range units {
		service, _ := load.ServiceOf(u.Path())
		results[i].Problems = []schema.Problem{{Code: "limit/time", Holds: schema.Holding(service), Position: schema.Position{File: u.Path(), Line: 1}, Message: "stopped"}}
	}
	return results, nil
}

// TestBombInAPackageHoldsNobody holds that a package or shared file that cannot be evaluated stops only the services that use it.
func TestBombInAPackageHoldsNobody(t *testing.T) {
	var files []load.File
	for _, f := range fixtures.Declarations(fixtures.EdgeConfig()) {
		if strings.HasSuffix(f.Path, "confluence-wiki.cue") { // it redirects to a service that is left out
			continue
		}
		if !bytes.Contains(f.Data, []byte("#")) || !bytes.Contains(f.Data, []byte("#Checked &")) && !strings.HasSuffix(f.Path, "shared.cue") && !strings.HasPrefix(f.Path, "lib/") {
			files = append(files, f) // nothing of it is evaluated
		}
	}
	for _, path := range []string{"lib/bomb/bomb.cue", "services/trello/shared.cue", "services/shared.cue"} {
		files = append(files, load.File{Path: path, Data: []byte("package services\n\n_x: 1+1\n")})
	}
	commit, err := (&load.Loader{Evaluator: givenUp{}}).Load(t.Context(), files)
	if err != nil || len(commit.Problems) != 3 || len(commit.Edge.Services) != 8 {
		t.Fatalf("%d services, problems %v, %v", len(commit.Edge.Services), commit.Problems, err)
	}
	for _, p := range commit.Problems {
		if !p.Unused || len(p.Holds) > 0 || p.OfPlatform() {
			t.Errorf("%s holds %q", p, p.Holds)
		}
	}
}

// counting counts the units that it is asked to evaluate.
type counting struct {
	load.Trusted
	units int
}

func (c *counting) Evaluate(ctx context.Context, units []load.Unit) ([]load.Result, error) {
	c.units += len(units)
	return c.Trusted.Evaluate(ctx, units)
}

// TestKnownFromGit: what the command line sends is not evaluated again when the branch has it, as a file's hash is that of git.
func TestKnownFromGit(t *testing.T) {
	files := fixtures.Declarations(fixtures.EdgeConfig())
	branch := slices.Clone(files)
	for i := range branch {
		branch[i].Hash = plumbing.ComputeHash(plumbing.BlobObject, files[i].Data).String()
	}
	var evaluator counting
	loader := &load.Loader{Evaluator: &evaluator}
	for n, same := range [][]load.File{branch, files} {
		before := evaluator.units
		if _, err := loader.Load(t.Context(), same); err != nil {
			t.Fatal(err)
		}
		if more := evaluator.units - before; (more > 0) != (n == 0) {
			t.Errorf("load %d evaluated %d units", n, more)
		}
	}
}
