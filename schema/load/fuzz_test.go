package load_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema/load"
)

// FuzzEvaluate holds that a file is either read or has a problem with a place and a message, and that what was read survives JSON.
func FuzzEvaluate(f *testing.F) {
	for _, file := range fixtures.Declarations(fixtures.EdgeConfig()) {
		f.Add(file.Path, file.Data)
	}
	f.Add("services/a/b.cue", []byte("package services\nservices: b: {hosts: [\"a.b\"] & [\"c.d\"]}"))
	f.Add("services/a/b.cue", []byte("package services\nservices: b: b"))
	f.Add("platform/x.cue", []byte("package platform\nfleets: [string]: {}\nzones: \"a.b\": _|_"))
	f.Add("services/a/b.cue", []byte(strings.Repeat("{", 1000)))
	compiled, err := load.Compile()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		if multiplies(data) {
			t.Skip()
		}
		r := compiled.Evaluate(load.Unit{Files: []load.File{{Path: path, Data: data}}})
		if (r.Service == nil && r.Platform == nil && !r.Library) && len(r.Problems) == 0 || (r.Service != nil || r.Platform != nil) && len(r.Problems) > 0 {
			t.Fatalf("declares and has problems, or neither: %+v", r)
		}
		for _, p := range r.Problems {
			if p.Message == "" || p.Position.Line == 0 || strings.Contains(p.Message, "\n") {
				t.Errorf("problem without a place or with more than a line: %+v", p)
			}
		}
		wire, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var back load.Result
		if err := json.Unmarshal(wire, &back); err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(back)
		if diff := cmp.Diff(string(wire), string(again)); diff != "" {
			t.Error(diff)
		}
	})
}

// multiplies tells of what the confined process bounds, and nothing in a test.
func multiplies(data []byte) bool {
	return len(data) > 2000 || bytes.ContainsAny(data, "*|(") || bytes.Contains(data, []byte("for"))
}

// FuzzLoad holds that whatever stands in a declaration, a shared file, a package and the module file, a service that uses none of them
// is declared and free of problems, and that each problem is in a file of the commit.
func FuzzLoad(f *testing.F) {
	const (
		declaration = "services/jira/jira-web.cue"
		shared      = "services/shared.cue"
		library     = "lib/browser/browser.cue"
		module      = "cue.mod/module.cue"
		neighbour   = "trello-web"
	)
	base := fixtures.Declarations(fixtures.EdgeConfig())
	written := map[string][]byte{}
	for _, file := range base {
		written[file.Path] = file.Data
	}
	f.Add(written[declaration], written[shared], written[library], written[module])
	f.Add([]byte("package services\nimport \"acme.example/edge-config/lib/browser\"\nservices: \"jira-web\": browser.#S & #T & {hosts: [\"jira.acme.example\"]}"),
		[]byte("package services\n#T: {fleet: \"edge\", ...}\n_x: #T"), []byte("package browser\n#S: exposure: \"public\""), written[module])
	f.Add([]byte("package services\nservices: {x: #A, \"jira-web\": x}"), []byte("package services\n#A: #A"), []byte("package b\nimport \"acme.example/edge-config/lib/browser\""), []byte("module: 5"))
	loader := &load.Loader{Evaluator: &load.Trusted{}}
	f.Fuzz(func(t *testing.T, one, two, three, four []byte) {
		if multiplies(one) || multiplies(two) || multiplies(three) || multiplies(four) {
			t.Skip()
		}
		files := base
		for path, data := range map[string][]byte{declaration: one, shared: two, library: three, module: four} {
			files = fixtures.Over(files, load.File{Path: path, Data: data})
		}
		commit, err := loader.Load(t.Context(), files)
		if err != nil {
			t.Fatal(err)
		}
		if _, declared := commit.Edge.Service(neighbour); !declared {
			t.Error("the neighbour is gone")
		}
		for _, p := range commit.Problems {
			if p.Concerns(neighbour) && !strings.HasPrefix(string(p.Code), "host/") || p.OfPlatform() {
				t.Errorf("holds more than its own: %+v", p)
			}
			if p.Position.Line == 0 || !slices.ContainsFunc(files, func(f load.File) bool { return f.Path == p.Position.File }) {
				t.Errorf("nowhere: %+v", p)
			}
			if strings.ContainsFunc(p.Message+p.Hint+p.Path, unicode.IsControl) {
				t.Errorf("not printable: %q", p.Message+p.Hint+p.Path)
			}
		}
	})
}
