package forge

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

const mostFields = 60 // of one step in a diff

// title names a step in a line: update service jira-web (fleet/edge).
func title(s Step) string {
	return clean(fmt.Sprintf("%s %s %s (%s)", s.Verb, noun(s.Key.Kind), s.Key.Name, s.Key.Scope), longest)
}

func noun(k resource.Kind) string {
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
func heading(s Step) string { return "@@ " + title(s) + " @@\n" }

// diffLines is a step field by field, each line beginning with - or +.
func diffLines(s Step) string {
	var b strings.Builder
	b.WriteString(heading(s))
	fields := s.Fields()
	for i, f := range fields {
		if i == mostFields {
			fmt.Fprintf(&b, "# %d more fields\n", len(fields)-mostFields)
			break
		}
		writeField(&b, f)
	}
	return b.String()
}

func writeField(b *strings.Builder, f plan.FieldChange) {
	if f.Path == plan.ContentOnly {
		b.WriteString("! rendered content changes, the declaration does not\n")
		return
	}
	path := clean(f.Path, longest)
	if f.Before != "" {
		fmt.Fprintf(b, "- %s: %s\n", path, clean(f.Before, longest))
	}
	if f.After != "" {
		fmt.Fprintf(b, "+ %s: %s\n", path, clean(f.After, longest))
	}
}
