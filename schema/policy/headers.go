package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// checkEdit keeps the names that the edge lives by out of header edits.
func (j *judgement) checkEdit(at string, e schema.HeaderEdit) {
	for _, name := range slices.Sorted(maps.Keys(e.Set)) {
		j.checkEditName(at+".set."+name, name)
		if _, both := e.Add[name]; both {
			j.problem("header/both", at+".add."+name, fmt.Sprintf("header %s is both set and added", name), "keep one of the two")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.Add)) {
		j.checkEditName(at+".add."+name, name)
	}
	for i, name := range e.Remove {
		j.checkEditName(fmt.Sprintf("%s.remove[%d]", at, i), name)
	}
}

func (j *judgement) checkEditName(at, name string) {
	if j.service != nil && strings.HasPrefix(j.service.Source.Find(at).File, "platform/") {
		return // a default: told to the platform
	}
	if reserved(name) {
		j.problem("header/reserved", at, fmt.Sprintf("header %s cannot be edited", name), "host and the names beginning with : or x-edgewright- belong to the edge")
	}
}

// reserved tells whether a header belongs to the edge: Envoy refuses to edit host and the pseudo-headers, and the scope header
// chooses the routes.
func reserved(name string) bool {
	return name == "host" || strings.HasPrefix(name, ":") || strings.HasPrefix(name, "x-edgewright-")
}
