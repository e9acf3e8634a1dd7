package reference

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
	"github.com/edgewright/edgewright/schema/load"
	"github.com/edgewright/edgewright/schema/policy"
)

var update = flag.Bool("update", false, "rewrite the page")

func forms(t *testing.T) form.Schema {
	t.Helper()
	s, err := form.Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPageIsCurrent(t *testing.T) {
	got := Markdown(forms(t))
	if *update {
		if err := os.WriteFile("REFERENCE.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("REFERENCE.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("REFERENCE.md is not what is generated now; run make golden (-page +now):\n%s", diff)
	}
}

// TestExamples holds that what people copy from the page is valid and can be rendered.
func TestExamples(t *testing.T) {
	files := fixtures.Declarations(fixtures.EdgeConfig())
	for _, e := range Examples() {
		files = append(files, load.File{Path: e.Path, Data: []byte(e.Text)})
	}
	l := &load.Loader{Evaluator: &load.Trusted{}, Today: func() schema.Date { return schema.Date{Year: 2026, Month: 3, Day: 1} }}
	commit, err := l.Load(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(commit.Problems, commit.Warnings...) {
		t.Error(schema.Format(p))
	}
	if _, err := render.Edge(commit.Edge); err != nil {
		t.Error(err)
	}
	for _, e := range Examples() {
		id, _ := load.ServiceOf(e.Path)
		if _, is := commit.Edge.Service(id); id != "" && !is {
			t.Errorf("%s declares no service", e.Path)
		}
		if _, defined := forms(t)[e.Definition]; !defined {
			t.Errorf("%s shows %s, which is not defined", e.Path, e.Definition)
		}
	}
}

// TestWaivableRulesAreSaid holds that the page lists what may be waived.
func TestWaivableRulesAreSaid(t *testing.T) {
	said := forms(t).Of("Waiver").Fields["rule"].Doc
	for _, code := range append(policy.Waivable, policy.Opened) {
		if !strings.Contains(said, string(code)) {
			t.Errorf("%s can be waived, but the page does not say so", code)
		}
	}
}

// TestPrimerIsValid holds that the CUE shown at the top of the page is a service that is accepted.
func TestPrimerIsValid(t *testing.T) {
	_, rest, _ := strings.Cut(introduction, "in a few lines\n\n")
	text, _, _ := strings.Cut(rest, "\nNumbers")
	files := fixtures.Over(fixtures.Declarations(fixtures.EdgeConfig()), load.File{Path: "services/trello/trello-web.cue", Data: []byte(strings.ReplaceAll("\n"+text, "\n    ", "\n"))})
	commit, err := (&load.Loader{Evaluator: &load.Trusted{}}).Load(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range append(commit.Problems, commit.Warnings...) {
		t.Error(schema.Format(p))
	}
}

// TestEverythingIsSaid holds that each definition and each field of one has a word on it, where its name does not say all.
func TestEverythingIsSaid(t *testing.T) {
	s := forms(t)
	page := Markdown(s)
	for _, name := range s.Names() {
		f := s[name]
		if f.Kind == form.Group && f.Doc == "" && !strings.HasSuffix(name, "Defaults") {
			t.Errorf("%s has no comment", name)
		}
		if f.Kind == form.Group && !strings.Contains(page, "## "+name+"\n") {
			t.Errorf("%s is not on the page", name)
		}
		for _, field := range f.Order {
			if f.Fields[field].Doc == "" && f.Fields[field].Form.Name == "" && f.Fields[field].Form.Kind == form.Group {
				t.Errorf("%s.%s has no comment", name, field)
			}
		}
	}
	if i := slices.IndexFunc(order, func(name string) bool { return s[name] == nil }); i >= 0 {
		t.Errorf("the order names %s, which is not defined", order[i])
	}
}
