//go:build linux && (amd64 || arm64)

package jail

import (
	"errors"
	"fmt"
	"io"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Serve is the child: it confines this process for good, then evaluates the files that come in until there are no more. Where
// it cannot be confined it evaluates nothing. The answer is the exit code.
func Serve(in io.Reader, out io.Writer) int {
	var limits Limits
	if err := readFrame(in, framing, &limits); err != nil {
		return 1
	}
	limits = limits.withDefaults()
	compiled, err := prepare(limits)
	if err != nil {
		_ = writeFrame(out, framing, ready{Error: err.Error()}) // the exit code says it too
		return 1
	}
	if err := writeFrame(out, framing, ready{}); err != nil {
		return 1
	}
	for {
		err := serveFile(in, out, compiled, limits)
		switch {
		case errors.Is(err, io.EOF):
			return 0
		case err != nil:
			return 1
		}
	}
}

// prepare confines first: compiling the schema needs no more than a file does.
func prepare(l Limits) (*load.Schema, error) {
	if err := confine(l); err != nil {
		return nil, fmt.Errorf("confine evaluator: %w", err)
	}
	compiled, err := load.Compile()
	if err != nil {
		return nil, fmt.Errorf("compile schema: %w", err)
	}
	return compiled, nil
}

func serveFile(in io.Reader, out io.Writer, compiled *load.Schema, l Limits) error {
	var unit load.Unit
	if err := readFrame(in, inputFrame(l.Input), &unit); err != nil {
		return err
	}
	if len(unit.Files) == 0 {
		return errors.New("a unit without files")
	}
	result := compiled.Evaluate(unit)
	err := writeFrame(out, l.Output, answer{Path: unit.Path(), Result: result})
	if errors.Is(err, errFrameTooLarge) {
		over := breach{code: CodeOutput}
		return writeFrame(out, l.Output, answer{Path: unit.Path(), Result: load.Result{Problems: []schema.Problem{over.problem(unit.Files[0], l)}}})
	}
	return err
}
