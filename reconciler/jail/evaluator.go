//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// largeJob is the number of files from which on a job uses two children.
const largeJob = 64

// Evaluator evaluates units in confined children. The zero value works; Close ends its children. It may be used by many
// goroutines at a time.
type Evaluator struct {
	Command []string // argv of a process that calls Serve; default: this executable with the verb evaluate
	Limits  Limits
	Log     *slog.Logger // default: none

	once    sync.Once
	pool    *pool
	openErr error
}

var _ load.Evaluator = (*Evaluator)(nil)

// Warm starts a child and waits until it is ready. It is an error where a child cannot be confined; then nothing can be evaluated.
func (e *Evaluator) Warm(ctx context.Context) error {
	p, err := e.open()
	if err != nil {
		return err
	}
	c, err := p.take(ctx, false)
	if err != nil {
		return err
	}
	p.give(c)
	return nil
}

// Evaluate answers one result per unit, in order. One that meets a limit gets one problem, and the others what they would
// have got without it. An error means that no child could be started or that ctx ended.
func (e *Evaluator) Evaluate(ctx context.Context, units []load.Unit) ([]load.Result, error) {
	p, err := e.open()
	if err != nil {
		return nil, err
	}
	p.begin()
	defer p.end()
	results := make([]load.Result, len(units))
	next := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(next)
		for i := range units {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	workers := 1
	if len(units) > largeJob {
		workers = maxChildren
	}
	for range workers {
		group.Go(func() error {
			for i := range next {
				result, err := e.evaluate(ctx, p, units[i])
				if err != nil {
					return fmt.Errorf("evaluate %s: %w", units[i].Path(), err)
				}
				results[i] = result
			}
			return nil
		})
	}
	return results, group.Wait()
}

// Close ends all children, those at work too, and waits for them.
func (e *Evaluator) Close() {
	if p, err := e.open(); err == nil {
		p.close()
	}
}

func (e *Evaluator) open() (*pool, error) {
	e.once.Do(func() {
		argv := e.Command
		if len(argv) == 0 {
			self, err := os.Executable()
			if err != nil {
				e.openErr = fmt.Errorf("find own executable: %w", err)
				return
			}
			argv = []string{self, "evaluate"}
		}
		e.pool = newPool(argv, e.Limits.withDefaults())
	})
	return e.pool, e.openErr
}

// evaluate tries a unit again, in a fresh child, where the first one's age or the machine may be to blame: what one gets
// must not depend on its neighbours.
func (e *Evaluator) evaluate(ctx context.Context, p *pool, unit load.Unit) (load.Result, error) {
	if size := unit.Size(); size > p.limits.Input || len(unit.Path()) > framing/2 {
		return e.stopped(unit, &breach{code: CodeInput, detail: fmt.Sprintf("%d bytes", size)}, p.limits), nil
	}
	result, blame, err := attempt(ctx, p, unit, false)
	if err == nil && blame != nil && blame.again {
		result, blame, err = attempt(ctx, p, unit, true)
	}
	switch {
	case err != nil:
		return load.Result{}, err
	case blame != nil:
		return e.stopped(unit, &blame.breach, p.limits), nil
	}
	return result, nil
}

// verdict is a breach and whether a fresh child may do better.
type verdict struct {
	breach
	again bool
}

func attempt(ctx context.Context, p *pool, unit load.Unit, fresh bool) (load.Result, *verdict, error) {
	c, err := p.take(ctx, fresh)
	if err != nil {
		return load.Result{}, nil, err
	}
	aged := c.served > 0
	ctx, cancel := withEither(ctx, p.ctx)
	defer cancel()
	result, err := c.evaluate(ctx, unit)
	if err != nil || c.worn() {
		p.replace(c)
	} else {
		p.give(c)
	}
	var b *breach
	switch {
	case errors.As(err, &b):
		return load.Result{}, &verdict{breach: *b, again: b.starved || b.code == CodeCrash || b.code == CodeMemory && aged}, nil
	case err != nil:
		return load.Result{}, nil, err
	}
	return result, nil, nil
}

// withEither ends when the first of the two does.
func withEither(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(other, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

func (e *Evaluator) stopped(unit load.Unit, b *breach, l Limits) load.Result {
	if e.Log != nil {
		e.Log.Warn("evaluation stopped", "file", unit.Path(), "code", b.code, "detail", b.detail)
	}
	return load.Result{Problems: []schema.Problem{b.problem(unit.Files[0], l)}}
}
