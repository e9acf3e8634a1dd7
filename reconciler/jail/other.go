//go:build !linux || !(amd64 || arm64)

package jail

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/edgewright/edgewright/schema/load"
)

var errUnsupported = errors.New("evaluating declarations needs Linux on amd64 or arm64: only there can untrusted CUE be confined")

// Evaluator evaluates nothing on this system.
type Evaluator struct {
	Command []string
	Limits  Limits
	Log     *slog.Logger
}

var _ load.Evaluator = (*Evaluator)(nil)

// Warm is an error on this system.
func (e *Evaluator) Warm(context.Context) error { return errUnsupported }

// Evaluate is an error on this system.
func (e *Evaluator) Evaluate(context.Context, []load.Unit) ([]load.Result, error) {
	return nil, errUnsupported
}

// Close does nothing.
func (e *Evaluator) Close() {}

// Serve refuses.
func Serve(_ io.Reader, out io.Writer) int {
	_ = writeFrame(out, framing, ready{Error: errUnsupported.Error()}) // the exit code says it too
	return 1
}
