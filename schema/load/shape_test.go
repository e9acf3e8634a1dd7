package load

import (
	"testing"

	"github.com/edgewright/edgewright/schema"
)

// TestDecodeTellsItsOwnFault holds that a form which passes what the types cannot hold is told, not hidden. No declaration does that as
// long as the two agree.
func TestDecodeTellsItsOwnFault(t *testing.T) {
	_, problems := serviceFrom(map[string]any{"hosts": 7}, schema.Source{File: "services/a/b.cue"}, false)
	if len(problems) != 1 || problems[0].Code != "schema/decode" || problems[0].Hint == "" {
		t.Errorf("problems: %v", problems)
	}
}
