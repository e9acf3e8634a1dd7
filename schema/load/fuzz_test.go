package load_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

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
		// What multiplies is bounded by the confined process, not here.
		if len(data) > 2000 || bytes.ContainsAny(data, "*|") || bytes.Contains(data, []byte("for")) || bytes.Contains(data, []byte("(")) {
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
