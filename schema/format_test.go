package schema_test

import (
	"testing"

	"github.com/edgewright/edgewright/schema"
)

func TestFormat(t *testing.T) {
	p := schema.Problem{Code: "field/unknown", Position: schema.Position{File: "services/a/b.cue", Line: 3, Column: 2}, Message: "unknown field exposre",
		Hint: "did you mean exposure?", Line: "\texposre: \"public\"", Also: []schema.Position{{File: "platform/fleets.cue", Line: 1}}}
	const want = "services/a/b.cue:3:2: unknown field exposre [field/unknown]\n    \texposre: \"public\"\n    \t^\n    also: platform/fleets.cue:1\n    try: did you mean exposure?"
	if got := schema.Format(p); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
