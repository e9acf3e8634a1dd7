package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
)

// maxProblems is how many problems of one file are told: the first ones explain the rest.
const maxProblems = 20

// authorPath writes a CUE path as an author says it: routes[0].match. Definitions and the way to the service are left out.
func authorPath(path []string) string {
	if len(path) > 0 && strings.HasPrefix(path[0], "#") {
		path = path[1:]
	} else if len(path) > 1 && path[0] == "services" {
		path = path[2:]
	}
	var b strings.Builder
	for _, part := range path {
		if unquoted, err := strconv.Unquote(part); err == nil {
			part = unquoted
		}
		if _, err := strconv.Atoi(part); err == nil {
			fmt.Fprintf(&b, "[%s]", part)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// misshapen are the problems of a value that does not have its form.
func misshapen(faults []form.Fault, source schema.Source, says map[string]schema.Position) []schema.Problem {
	var problems []schema.Problem
	for _, f := range faults[:min(len(faults), maxProblems)] {
		at := source.Find(f.Path)
		if value, known := says[f.Path]; known && (f.Code == "field/value" || f.Code == "field/type") {
			at = value
		}
		problems = append(problems, schema.Problem{Code: schema.Code(f.Code), Path: f.Path, Position: at, Message: f.Message, Hint: f.Hint})
	}
	return problems
}

// atValues moves problems with the value of a field from its name to the value, where this file says it.
func atValues(problems []schema.Problem, p parsed, names ...string) []schema.Problem {
	if len(problems) == 0 {
		return problems
	}
	says := p.says(names...)
	for i, told := range problems {
		if at, known := says[told.Path]; known && told.Position.File == p.path && (told.Code == "field/duration" || told.Code == "field/date") {
			problems[i].Position = at
		}
	}
	return problems
}

// withoutEchoes leaves out what is only said because of a fault in the same place.
func withoutEchoes(problems []schema.Problem, faults []form.Fault) []schema.Problem {
	return slices.DeleteFunc(problems, func(p schema.Problem) bool {
		return slices.ContainsFunc(faults, func(f form.Fault) bool {
			return related(f.Path, p.Path)
		})
	})
}
