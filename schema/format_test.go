package schema_test

import (
	"strings"
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

func TestFormatShowsThePartOfALongLine(t *testing.T) {
	for _, column := range []int{1, 50, 700, 1399, 5000} {
		p := schema.Problem{Code: "c", Message: "m", Position: schema.Position{File: "f", Line: 1, Column: column}, Line: strings.Repeat("ä", 699) + "Z"}
		lines := strings.Split(schema.Format(p), "\n")
		if len(lines[1]) > 200 || !strings.Contains(lines[1], "ä") || strings.ContainsRune(lines[1], '\uFFFD') {
			t.Errorf("column %d: the line is %q", column, lines[1])
		}
		if column != 1399 {
			continue
		}
		if caret := []rune(lines[2]); string(caret[len(caret)-1]) != "^" || string([]rune(lines[1])[len(caret)-1]) != "Z" {
			t.Errorf("the caret is not under Z:\n%s\n%s", lines[1], lines[2])
		}
	}
}
