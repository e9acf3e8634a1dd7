package jail

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Codes of the problems that a file gets instead of a result.
const (
	CodeMemory schema.Code = "limit/memory"
	CodeTime   schema.Code = "limit/time"
	CodeCrash  schema.Code = "limit/crash"
	CodeInput  schema.Code = "limit/input"
	CodeOutput schema.Code = "limit/output"
)

// breach is why the evaluation of one file was given up.
type breach struct {
	code    schema.Code
	starved bool   // out of wall time with hardly any CPU used: the machine's fault, not the file's
	detail  string // for the operator: how the child ended
}

func (b *breach) Error() string { return fmt.Sprintf("%s: %s", b.code, b.detail) }

// problem is the one problem that the author of the file sees.
func (b *breach) problem(f load.File, l Limits) schema.Problem {
	message, hint := wording(b.code, l)
	if b.code == CodeInput && len(f.Data) <= l.Input {
		message = fmt.Sprintf("this file, with all that it uses, is larger than %s", size(int64(l.Input)))
		hint = "import smaller packages: each file that imports one reads all of it"
	}
	service, _ := load.ServiceOf(f.Path)
	return schema.Problem{
		Code:     b.code,
		Position: schema.Position{File: f.Path, Line: 1, Column: 1},
		Message:  message,
		Hint:     hint,
		Line:     firstLine(f.Data),
		Holds:    schema.Holding(service),
	}
}

func wording(code schema.Code, l Limits) (message, hint string) {
	switch code {
	case CodeMemory:
		return fmt.Sprintf("evaluating this file needs more than %s of memory and was stopped", size(l.Memory)),
			"write the values out instead of building them by multiplying lists or strings or by nested comprehensions"
	case CodeTime:
		return fmt.Sprintf("evaluating this file takes longer than %s and was stopped", min(l.WallPerFile, l.CPUPerFile).Round(time.Millisecond)),
			"write the values out instead of nesting comprehensions, references or disjunctions"
	case CodeInput:
		return fmt.Sprintf("this file is larger than %s", size(int64(l.Input))),
			"split it: one file declares one service"
	case CodeOutput:
		return fmt.Sprintf("what this file declares is larger than %s", size(int64(l.Output))),
			"split the service, or write fewer routes"
	}
	return "evaluating this file crashed the evaluator",
		"write the file with plain values only; if it crashes still, report it as a bug together with the file"
}

func size(n int64) string {
	switch {
	case n >= mebibyte && n%mebibyte == 0:
		return fmt.Sprintf("%d MiB", n/mebibyte)
	case n >= 1024 && n%1024 == 0:
		return fmt.Sprintf("%d KiB", n/1024)
	}
	return fmt.Sprintf("%d bytes", n)
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	return strings.ToValidUTF8(string(line[:min(len(line), 200)]), "")
}
