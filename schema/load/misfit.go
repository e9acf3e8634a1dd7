package load

import (
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
)

// Misfits are the problems that declarations have with the forms of a schema, which need not be today's; no rule over declarations is
// asked. It evaluates in this process, without a bound: the files are trusted.
func Misfits(files []File, s form.Schema) []schema.Problem {
	t := sorted(files, lookAt)
	var problems []schema.Problem
	for _, f := range t.declarations {
		problems = append(problems, (&Schema{s}).Evaluate(t.unit(*f)).Problems...)
	}
	quote(problems, files)
	schema.SortProblems(problems)
	return problems
}
