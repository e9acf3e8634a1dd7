//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
)

// maxChildren is how many files are evaluated at a time, over all jobs.
const maxChildren = 2

var errClosed = errors.New("evaluator is closed")

// pool holds the children. One that waits, ready, is kept at all times; whoever waits for one gets it first come, first served,
// and gives it back after every file, so that a single file never waits for a large job.
type pool struct {
	argv   []string
	limits Limits
	slots  chan struct{} // one per child in use
	thread chan func()   // runs on one locked thread, see newPool

	ctx    context.Context // ends with the pool
	cancel context.CancelFunc
	all    sync.WaitGroup // goroutines and children

	mu     sync.Mutex
	idle   []*child
	jobs   int
	closed bool
}

// newPool starts a thread that starts the children: the kernel kills them when the thread that started them ends, so it must
// live as long as they may, and Go ends only threads that were locked.
func newPool(argv []string, l Limits) *pool {
	p := &pool{argv: argv, limits: l, slots: make(chan struct{}, maxChildren), thread: make(chan func())}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.all.Go(func() {
		runtime.LockOSThread()
		for {
			select {
			case <-p.ctx.Done():
				return
			case do := <-p.thread:
				do()
			}
		}
	})
	return p
}

// take waits for a slot and a ready child. fresh demands one that has evaluated nothing yet.
func (p *pool) take(ctx context.Context, fresh bool) (*child, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.ctx.Done():
		return nil, errClosed
	}
	c := p.pick(fresh)
	if c == nil {
		<-p.slots
		return nil, errClosed
	}
	select {
	case <-c.ready:
	case <-ctx.Done():
		p.give(c)
		return nil, ctx.Err()
	}
	if c.startErr != nil {
		<-p.slots
		return nil, c.startErr
	}
	return c, nil
}

func (p *pool) pick(fresh bool) *child {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, (*child).gone)
	for i, c := range p.idle {
		if !fresh || c.served == 0 {
			p.idle = slices.Delete(p.idle, i, i+1)
			return c
		}
	}
	return p.launch()
}

// give takes a child back that is as good as before.
func (p *pool) give(c *child) {
	p.mu.Lock()
	keep := !p.closed && len(p.idle) < maxChildren
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		c.discard()
	}
	<-p.slots
}

// replace ends a child and starts the next one behind the caller's back.
func (p *pool) replace(c *child) {
	c.discard()
	p.warm()
	<-p.slots
}

// warm starts a child unless one waits.
func (p *pool) warm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) > 0 {
		return
	}
	if c := p.launch(); c != nil {
		p.idle = append(p.idle, c)
	}
}

// launch starts a child in the background. It is nil once the pool is closed. The lock is held.
func (p *pool) launch() *child {
	if p.closed {
		return nil
	}
	c := &child{limits: p.limits, ready: make(chan struct{}), exited: make(chan struct{})}
	p.all.Go(func() {
		defer close(c.ready)
		started := make(chan error, 1)
		select {
		case p.thread <- func() { started <- c.start(p.argv) }:
		case <-p.ctx.Done():
			c.startErr = errClosed
			return
		}
		if c.startErr = <-started; c.startErr != nil {
			return
		}
		p.all.Go(func() { <-c.exited })
		c.startErr = c.greet(p.ctx)
	})
	return c
}

// begin and end count jobs: between jobs only one child is kept.
func (p *pool) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs++
}

func (p *pool) end() {
	p.mu.Lock()
	var spare []*child
	if p.jobs--; p.jobs == 0 && len(p.idle) > 1 {
		spare, p.idle = p.idle[1:], p.idle[:1:1]
	}
	p.mu.Unlock()
	for _, c := range spare {
		c.discard()
	}
}

// close ends every child, also those at work, and waits for all of them.
func (p *pool) close() {
	p.mu.Lock()
	idle, again := p.idle, p.closed
	p.idle, p.closed = nil, true
	p.mu.Unlock()
	if again {
		return
	}
	p.cancel()
	for _, c := range idle {
		c.discard()
	}
	for range maxChildren { // whoever has one gives it back at once
		p.slots <- struct{}{}
	}
	p.all.Wait()
}
