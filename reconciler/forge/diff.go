package forge

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

const mostFields = 100 // lines of one step in a diff

// Title names a step in a line: update service jira-web (fleet/edge).
func Title(s plan.Step) string {
	return clean(fmt.Sprintf("%s %s %s (%s)", s.Verb, Noun(s.Key.Kind), s.Key.Name, s.Key.Scope), longest)
}

// Noun is what people call a resource of a kind.
func Noun(k resource.Kind) string {
	switch k {
	case resource.EnvoyService:
		return "service"
	case resource.EnvoyFleet:
		return "fleet"
	case resource.DNSRecord:
		return "record"
	case resource.DNSHealthCheck:
		return "health check"
	}
	return string(k)
}

// heading is the line of a diff under which a step's fields stand.
func heading(s Step) string { return "@@ " + Title(s.Step) + " @@\n" }

// diffLines is a step field by field, each line beginning with - or +.
func diffLines(s Step) string {
	lines := fieldLines(s)
	if n := len(lines) - mostFields; n > 0 {
		lines = append(lines[:mostFields:mostFields], fmt.Sprintf("# %d more lines", n))
	}
	return heading(s) + strings.Join(append(lines, ""), "\n")
}

// fieldLines are the fields that a step changes, each line beginning with -, + or !.
func fieldLines(s Step) []string {
	var out []string
	for _, f := range s.Fields() {
		if f.Path == plan.ContentOnly {
			out = append(out, "! rendered content changes, the declaration does not")
			continue
		}
		path := clean(f.Path, longest)
		if f.Before != "" {
			out = append(out, fmt.Sprintf("- %s: %s", path, clean(f.Before, longest)))
		}
		if f.After != "" {
			out = append(out, fmt.Sprintf("+ %s: %s", path, clean(f.After, longest)))
		}
	}
	return out
}
