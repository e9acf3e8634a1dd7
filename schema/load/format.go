package load

import (
	"cmp"

	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"

	"github.com/edgewright/edgewright/schema"
)

// Format writes a file of CUE in the usual way. A file that cannot be read is told as problems, with their lines.
func Format(f File) ([]byte, []schema.Problem) {
	if p := cmp.Or(unreadable(f), tooMuch(f)); p != nil {
		return nil, quoted(f, *p)
	}
	file, err := parser.ParseFile(f.Path, f.Data, parser.ParseComments)
	if err != nil {
		return nil, quoted(f, syntaxProblems(f, err)...)
	}
	data, err := format.Node(file)
	if err != nil {
		return nil, quoted(f, syntaxProblems(f, err)...)
	}
	return data, nil
}

func quoted(f File, problems ...schema.Problem) []schema.Problem {
	quote(problems, []File{f})
	return problems
}
