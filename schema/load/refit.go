package load

import (
	"slices"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
)

// Refits are the problems that declarations which fit one schema have with another. It evaluates in this process, without a bound: the
// files are trusted.
func Refits(files []File, old, now form.Schema) []schema.Problem {
	t := sorted(files, lookAt)
	var problems []schema.Problem
	for _, f := range t.declarations {
		u := t.unit(*f)
		if before := (&Schema{old}).Evaluate(u); len(before.Problems) == 0 {
			problems = append(problems, (&Schema{now}).Evaluate(u).Problems...)
		}
	}
	quote(problems, files)
	schema.SortProblems(problems)
	return slices.Clip(problems)
}
