//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

const (
	// exitCPU is how a child ends that the kernel found over its CPU limit before the parent did.
	exitCPU = 3
	// arenas is what the kernel counts as writable beyond the heap in use: Go maps its heap 64 MiB at a time, and keeps tables.
	arenas = 64 * mebibyte
	// openFiles leaves room for the three pipes and the poller.
	openFiles = 16
)

// confine gives up, for good, whatever evaluating a file does not need. There is no limit on the number of processes: it would
// count all of the user's and stop Go's threads; the system call filter forbids processes instead.
func confine(l Limits) error {
	runtime.GOMAXPROCS(2) // also ends the runtime's own looks at cgroup files
	debug.SetMemoryLimit(l.Memory * 3 / 4)
	debug.SetMaxStack(int(l.Memory / 8))
	exitOnCPULimit()
	// RLIMIT_AS would count the address space that Go only reserves; RLIMIT_DATA counts what is private and writable.
	limits := []struct {
		name     string
		resource int
		value    uint64
	}{
		{"memory", unix.RLIMIT_DATA, uint64(l.Memory + arenas)},
		{"open files", unix.RLIMIT_NOFILE, openFiles},
		{"file size", unix.RLIMIT_FSIZE, 0},
		{"core size", unix.RLIMIT_CORE, 0},
	}
	for _, r := range limits {
		var now unix.Rlimit
		if err := unix.Getrlimit(r.resource, &now); err != nil {
			return fmt.Errorf("read limit of %s: %w", r.name, err)
		}
		value := min(r.value, now.Max) // a stricter limit from outside stands
		if err := unix.Setrlimit(r.resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("limit %s: %w", r.name, err)
		}
	}
	return restrictCalls()
}

// exitOnCPULimit takes the kernel's signal, which Go would ignore.
func exitOnCPULimit() {
	over := make(chan os.Signal, 1)
	signal.Notify(over, unix.SIGXCPU)
	go func() {
		<-over
		os.Exit(exitCPU)
	}()
}
