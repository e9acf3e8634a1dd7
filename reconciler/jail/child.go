//go:build linux && (amd64 || arm64)

package jail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/schema/load"
)

const (
	startTimeout = 15 * time.Second
	// A child that evaluated so many files, or that grew so large, is replaced: what CUE keeps per process is never freed.
	maxFiles = 2000
	maxGrown = 128 * mebibyte
)

// child is one confined process. One goroutine at a time talks to it.
type child struct {
	limits  Limits
	command *exec.Cmd
	in      *os.File // files go here
	out     *os.File // results come from here
	stderr  headBuffer
	served  int

	ready    chan struct{} // closed when started, or when startErr is set
	startErr error
	exited   chan struct{} // closed when the process is reaped
	killOnce sync.Once
}

// start runs the command and waits for the child to be ready. It is called on the starter's thread.
func (c *child) start(argv []string) error {
	inChild, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make pipe: %w", err)
	}
	out, outChild, err := os.Pipe()
	if err != nil {
		return errors.Join(fmt.Errorf("make pipe: %w", err), inChild.Close(), in.Close())
	}
	c.in, c.out = in, out
	c.command = exec.Command(argv[0], argv[1:]...)
	c.command.Env = []string{"GODEBUG=containermaxprocs=0,updatemaxprocs=0"} // nothing of ours; the runtime shall keep no file open
	c.command.Stdin, c.command.Stdout, c.command.Stderr = inChild, outChild, &c.stderr
	c.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	err = c.command.Start()
	_, _ = inChild.Close(), outChild.Close() // the child has its own
	if err != nil {
		c.closePipes()
		close(c.exited)
		return fmt.Errorf("start evaluator: %w", err)
	}
	go func() {
		_ = c.command.Wait() // how it ended is read from ProcessState
		close(c.exited)
	}()
	return nil
}

// greet hands over the limits and hears whether the child could confine itself.
func (c *child) greet(ctx context.Context) error {
	watch := &watched{child: c, ctx: ctx, started: time.Now(), wall: startTimeout}
	var hello ready
	err := writeFrame(watch, framing, c.limits)
	if err == nil {
		err = readFrame(watch, framing, &hello)
	}
	if err != nil {
		c.kill()
		return fmt.Errorf("start evaluator: %w%s", err, c.lastWords())
	}
	if hello.Error != "" {
		c.kill()
		return fmt.Errorf("start evaluator: %s", hello.Error)
	}
	return nil
}

// evaluate has one file evaluated. After an error the child is dead; the error is a *breach when the file may be to blame.
func (c *child) evaluate(ctx context.Context, unit load.Unit) (load.Result, error) {
	used, err := c.cpu()
	if err == nil {
		err = c.limitCPU(used)
	}
	if err != nil {
		c.kill()
		return load.Result{}, c.breachOf(err)
	}
	watch := &watched{child: c, ctx: ctx, started: time.Now(), wall: c.limits.WallPerFile, cpu: c.limits.CPUPerFile, cpuBefore: used}
	var got answer
	err = writeFrame(watch, inputFrame(c.limits.Input), unit)
	if err == nil {
		err = readFrame(watch, c.limits.Output, &got)
	}
	if err == nil && got.Path != unit.Path() {
		err = fmt.Errorf("answer is for %q, not for %q", got.Path, unit.Path())
	}
	c.served++
	if err == nil {
		return got.Result, nil
	}
	c.kill()
	if ctx.Err() != nil {
		return load.Result{}, context.Cause(ctx)
	}
	return load.Result{}, c.breachOf(err)
}

// breachOf tells from how the child ended which bound it met. The child is dead already.
func (c *child) breachOf(err error) error {
	var known *breach
	if errors.As(err, &known) {
		return known
	}
	b := &breach{code: CodeCrash, detail: fmt.Sprintf("%v, %v, at most %s%s", err, c.command.ProcessState, size(c.mostMemory()), c.lastWords())}
	words := c.stderr.String()
	switch {
	case strings.Contains(words, "out of memory"), strings.Contains(words, "cannot allocate memory"), strings.Contains(words, "stack exceeds"), strings.Contains(words, "failed to create new OS thread"), strings.Contains(words, "pthread_create failed"):
		b.code = CodeMemory
	case c.command.ProcessState.ExitCode() == exitCPU, c.outOfCPU():
		b.code = CodeTime
	case errors.Is(err, errFrameTooLarge):
		b.code = CodeOutput
	case strings.Contains(words, "SIGSEGV") && c.mostMemory() > c.limits.Memory/2: // a mapping was refused, and Go went on with nothing
		b.code = CodeMemory
	}
	return b
}

// mostMemory is the most that an ended process had resident, in bytes.
func (c *child) mostMemory() int64 {
	usage, known := c.command.ProcessState.SysUsage().(*syscall.Rusage)
	if !known {
		return 0
	}
	return int64(usage.Maxrss) << 10
}

// outOfCPU tells whether the kernel ended the process for its CPU time, before the process or this one saw it.
func (c *child) outOfCPU() bool {
	status, is := c.command.ProcessState.Sys().(syscall.WaitStatus)
	if !is || !status.Signaled() {
		return false
	}
	used := c.command.ProcessState.UserTime() + c.command.ProcessState.SystemTime()
	return status.Signal() == syscall.SIGXCPU || status.Signal() == syscall.SIGKILL && used >= c.limits.CPUPerFile
}

// worn tells whether the next file should get a fresh child.
func (c *child) worn() bool {
	if c.served >= maxFiles {
		return true
	}
	rss, err := c.resident()
	return err != nil || rss > maxGrown
}

// kill ends the process and waits until it is reaped.
func (c *child) kill() {
	c.killOnce.Do(func() {
		_ = c.command.Process.Kill() // it may have ended
		<-c.exited
		c.closePipes()
	})
}

func (c *child) closePipes() { _, _ = c.in.Close(), c.out.Close() }

func (c *child) lastWords() string {
	words, _, _ := strings.Cut(strings.TrimSpace(c.stderr.String()), "\n")
	if words == "" {
		return ""
	}
	return ": " + words
}

// cpu is what the process has used so far, in all its threads.
func (c *child) cpu() (time.Duration, error) {
	clock := int32(^c.command.Process.Pid<<3 | 2) // the process's CPU clock, as clock_getcpuclockid(3) makes it
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("read evaluator's CPU clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// limitCPU moves the kernel's own bound, which stands even when this process does not get to look. It counts whole seconds.
func (c *child) limitCPU(used time.Duration) error {
	pid := c.command.Process.Pid
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, nil, &now); err != nil {
		return fmt.Errorf("read evaluator's CPU limit: %w", err)
	}
	soft := uint64((used+c.limits.CPUPerFile)/time.Second) + 1
	hard := min(now.Max, uint64(c.limits.CPUPerFile/time.Second+1)*(maxFiles+1))
	if err := unix.Prlimit(pid, unix.RLIMIT_CPU, &unix.Rlimit{Cur: min(soft, hard), Max: hard}, nil); err != nil {
		return fmt.Errorf("limit evaluator's CPU: %w", err)
	}
	return nil
}

// resident is the process's resident memory in bytes.
func (c *child) resident() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", c.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	var total, pages int64
	if _, err := fmt.Fscan(bytes.NewReader(text), &total, &pages); err != nil {
		return 0, fmt.Errorf("read statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

// headBuffer keeps the first bytes written to it: a dying runtime tells its reason first.
type headBuffer struct {
	mu   sync.Mutex
	head []byte
}

const headSize = 4096

func (b *headBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.head = append(b.head, p[:min(len(p), headSize-len(b.head))]...)
	return len(p), nil
}

func (b *headBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.head)
}

var _ io.Writer = (*headBuffer)(nil)

func overMemory(rss, limit int64) *breach {
	return &breach{code: CodeMemory, detail: fmt.Sprintf("resident %s of %s", size(rss), size(limit))}
}

func overTime(wall, cpu time.Duration, l Limits) *breach {
	return &breach{code: CodeTime, starved: cpu < min(l.WallPerFile, l.CPUPerFile)/2, detail: fmt.Sprintf("wall %v, CPU %v", wall.Round(time.Millisecond), cpu.Round(time.Millisecond))}
}

// gone tells whether the process has ended, by itself or by another's hand.
func (c *child) gone() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// discard ends a child that may be still starting.
func (c *child) discard() {
	<-c.ready
	if c.command != nil && c.command.Process != nil {
		c.kill()
	}
}
