package github

import (
	"fmt"
	"strings"
	"testing"

	local "github.com/edgewright/edgewright/fixtures/forge"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/schema"
)

func problems(n int) []schema.Problem {
	out := make([]schema.Problem, n)
	for i := range out {
		out[i] = schema.Problem{Code: "route/backend", Message: fmt.Sprintf("fault %d", i), Hint: "mend it",
			Position: schema.Position{File: "services/jira.cue", Line: i + 1, Column: 3}}
	}
	return out
}

func TestAnnotationsOfAnyNumber(t *testing.T) {
	s := newStage(t)
	p := s.push("broken", "jira:\n")
	r := review(p, "")
	r.Problems = problems(120)
	s.post(s.client, p, r)
	checks := s.forge.Checks(p.Head)
	if len(checks) != 1 || checks[0].Conclusion != "failure" || len(checks[0].Annotations) != 120 {
		t.Fatalf("%d checks, first: %s with %d annotations", len(checks), checks[0].Conclusion, len(checks[0].Annotations))
	}
	for i, a := range checks[0].Annotations {
		if a.StartLine != i+1 || a.Message != fmt.Sprintf("fault %d\nTry: mend it", i) || a.Level != "failure" || *a.StartColumn != 3 {
			t.Fatalf("annotation %d: %+v", i, a)
		}
	}
	r.Note = "another word"
	s.post(s.another(), p, r)
	if checks = s.forge.Checks(p.Head); len(checks) != 1 || len(checks[0].Annotations) != 120 || !strings.Contains(checks[0].Summary, "another word") {
		t.Errorf("same annotations: %d checks, %d annotations", len(checks), len(checks[0].Annotations))
	}
	r.Problems = problems(60)
	s.post(s.client, p, r)
	checks = s.forge.Checks(p.Head)
	if last := checks[len(checks)-1]; len(checks) != 2 || len(last.Annotations) != 60 {
		t.Errorf("other annotations: %d checks, the last with %d", len(checks), len(last.Annotations))
	}
}

func TestAnnotationsCutShortAreMadeAnew(t *testing.T) {
	s := newStage(t)
	p := s.push("broken", "jira:\n")
	r := review(p, "")
	r.Problems = problems(120)
	s.forge.Faults.Inject(local.Fault{Kind: local.ServerError, On: "PATCH /api/v3/repos/acme/edge-config/check-runs"})
	target := forge.Target{Pull: p.Number, SHA: p.Head}
	if err := s.client.Post(t.Context(), target, r); err == nil {
		t.Fatal("the fault went unnoticed")
	}
	s.post(s.another(), p, r)
	checks := s.forge.Checks(p.Head)
	if last := checks[len(checks)-1]; len(checks) != 2 || len(last.Annotations) != 120 {
		t.Errorf("%d checks, the last with %d annotations", len(checks), len(last.Annotations))
	}
	s.one(p)
}
