//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"errors"
	"os"
	"time"
)

// look is how often a waiting parent looks at what its child uses.
const look = 15 * time.Millisecond

// watched is a child's pipes for the time of one file: reading and writing end with a *breach once a bound is passed.
type watched struct {
	child     *child
	ctx       context.Context
	started   time.Time
	wall      time.Duration
	cpu       time.Duration // 0: not bounded
	cpuBefore time.Duration
}

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	for {
		if err := w.child.out.SetReadDeadline(time.Now().Add(look)); err != nil {
			return 0, err
		}
		n, err := w.child.out.Read(p)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if err := w.check(); err != nil {
			return 0, err
		}
	}
}

// Write implements io.Writer.
func (w *watched) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if err := w.child.in.SetWriteDeadline(time.Now().Add(look)); err != nil {
			return written, err
		}
		n, err := w.child.in.Write(p[written:])
		written += n
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return written, err
		}
		if err == nil {
			continue
		}
		if err := w.check(); err != nil {
			return written, err
		}
	}
	return written, nil
}

func (w *watched) check() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	rss, err := w.child.resident()
	if err != nil {
		return nil // it is ending: the pipe will tell
	}
	if rss > w.child.limits.Memory {
		return overMemory(rss, w.child.limits.Memory)
	}
	now, err := w.child.cpu()
	if err != nil {
		return nil
	}
	wall, cpu := time.Since(w.started), now-w.cpuBefore
	if wall > w.wall || w.cpu > 0 && cpu > w.cpu {
		return overTime(wall, cpu, w.child.limits)
	}
	return nil
}
