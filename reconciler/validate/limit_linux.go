package validate

import (
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// confine makes a command end with this program, and puts it in a process group of its own.
func confine(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limit bounds a process. RLIMIT_AS would count address space that Envoy only reserves.
func limit(pid int, memory int64, cpu time.Duration) error {
	for _, l := range []struct {
		name     string
		resource int
		value    uint64
		more     uint64 // until it is killed without a word
	}{
		{"memory", unix.RLIMIT_DATA, uint64(memory), 0},
		{"CPU", unix.RLIMIT_CPU, uint64(max(cpu/time.Second, 1)), 1},
		{"file size", unix.RLIMIT_FSIZE, 0, 0},
		{"core size", unix.RLIMIT_CORE, 0, 0},
	} {
		var now unix.Rlimit
		err := unix.Prlimit(pid, l.resource, nil, &now)
		if err == nil {
			value := min(l.value, now.Max) // a stricter limit from outside stands
			err = unix.Prlimit(pid, l.resource, &unix.Rlimit{Cur: value, Max: min(value+l.more, now.Max)}, nil)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended already
			return fmt.Errorf("limit %s of Envoy: %w", l.name, err)
		}
	}
	return nil
}
