package validate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// run asks Envoy about parts. A *refusal says what it has against them, a *crash how it ended; any other error, that nobody knows.
func (v *Validator) run(ctx context.Context, parts []part) error {
	config, err := bootstrap(parts)
	if err != nil {
		return err
	}
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	dir, err := os.MkdirTemp("", "edgewright-validate-")
	if err != nil {
		return fmt.Errorf("make folder for Envoy: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "envoy.pb") // by this ending Envoy knows the encoding
	if err := os.WriteFile(file, config, 0o600); err != nil {
		return fmt.Errorf("write configuration for Envoy: %w", err)
	}
	began := time.Now()
	said, err := v.exec(ctx, "--mode", "validate", "--config-path", file, "--concurrency", "1", "--disable-hot-restart",
		"--allow-unknown-static-fields", // as over xDS
		"--log-level", "critical", "--log-format", "%v")
	v.Ran(time.Since(began))
	return judged(said, err, file)
}

// judged tells from how Envoy ended what it finds.
func judged(said string, err error, file string) error {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &exit):
		return err
	}
	if status, is := exit.Sys().(syscall.WaitStatus); is && status.Signaled() {
		if s := status.Signal(); s == syscall.SIGKILL || s == syscall.SIGTERM || s == syscall.SIGXCPU {
			return fmt.Errorf("Envoy was ended: %s", s)
		}
		return &crash{status.Signal().String()}
	}
	_, why, refused := strings.Cut(said, fmt.Sprintf("error initializing configuration '%s': ", file))
	if !refused {
		return fmt.Errorf("Envoy ended with %s: %s", exit, oneLine(said))
	}
	return &refusal{oneLine(why)}
}

var versionIn = regexp.MustCompile(`version: (\S+)`)

// askVersion is what the binary calls itself: commit, number, and how it was built.
func (v *Validator) askVersion(ctx context.Context) (string, error) {
	said, err := v.exec(ctx, "--version")
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", v.Binary, err)
	}
	found := versionIn.FindStringSubmatch(said)
	if found == nil {
		return "", fmt.Errorf("ask %s for its version: it answers %q, which is not what Envoy says", v.Binary, oneLine(said))
	}
	return found[1], nil
}

// exec runs Envoy without any of our environment, in a process group of its own, within the limits. The kernel kills it when this program
// ends.
func (v *Validator) exec(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, v.Within, fmt.Errorf("Envoy did not end within %s", v.Within))
	defer cancel()
	runtime.LockOSThread() // the kernel would take the end of the thread for the end of the program
	defer runtime.UnlockOSThread()
	said := &head{}
	command := exec.CommandContext(ctx, v.Binary, args...)
	command.Env, command.Stdout, command.Stderr = []string{}, said, said
	command.Cancel = func() error { return killGroup(command.Process.Pid) }
	command.WaitDelay = time.Second
	confine(command)
	if err := command.Start(); err != nil {
		return "", fmt.Errorf("start Envoy: %w", err)
	}
	if err := limit(command.Process.Pid, v.Memory, v.CPU); err != nil {
		_ = killGroup(command.Process.Pid) // it may have ended
		_ = command.Wait()
		return "", err
	}
	err := command.Wait()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return said.kept.String(), err
}

// head keeps the first bytes that are written to it.
type head struct{ kept bytes.Buffer }

const headSize = 64 << 10

// Write implements io.Writer.
func (h *head) Write(p []byte) (int, error) {
	h.kept.Write(p[:min(len(p), headSize-h.kept.Len())])
	return len(p), nil
}

// killGroup ends a process with all that it has started.
func killGroup(pid int) error {
	if err := syscall.Kill(-pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return os.ErrProcessDone
}
