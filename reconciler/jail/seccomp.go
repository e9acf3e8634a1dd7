//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// allowed is what Go's runtime and the pipes need once a program runs, the frequent ones first. It opens no file, socket or
// process: everything else answers EPERM.
var allowed = []uint32{
	unix.SYS_FUTEX, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_NANOSLEEP, unix.SYS_MADVISE, unix.SYS_SCHED_YIELD,
	unix.SYS_RT_SIGRETURN, unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGACTION, unix.SYS_SIGALTSTACK, unix.SYS_RESTART_SYSCALL,
	unix.SYS_MUNMAP, unix.SYS_MREMAP, unix.SYS_MINCORE, unix.SYS_BRK,
	unix.SYS_GETTID, unix.SYS_GETPID, unix.SYS_CLOCK_GETTIME, unix.SYS_CLOCK_NANOSLEEP, unix.SYS_GETTIMEOFDAY,
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EVENTFD2,
	unix.SYS_CLOSE, unix.SYS_FSTAT, unix.SYS_GETRANDOM, unix.SYS_GETRUSAGE, unix.SYS_SCHED_GETAFFINITY,
	unix.SYS_SET_ROBUST_LIST, unix.SYS_RSEQ, // a new thread of glibc, when linked with cgo
	unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
}

// Offsets in struct seccomp_data. An argument's low word comes first on both architectures; the kernel reads no more of the
// arguments that are checked here.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

// condition allows a call by its argument: only with a bit set, only with bits clear, or only with one of some values.
type condition struct {
	call     uint32
	argument uint32
	set      uint32
	clear    uint32
	values   []uint32
}

// conditions: threads but no processes, memory but no code, signals to this process alone.
func conditions(pid uint32) []condition {
	return []condition{
		{call: unix.SYS_CLONE, argument: 0, set: unix.CLONE_THREAD},
		{call: unix.SYS_MMAP, argument: 2, clear: unix.PROT_EXEC},
		{call: unix.SYS_MPROTECT, argument: 2, clear: unix.PROT_EXEC},
		{call: unix.SYS_TGKILL, argument: 0, values: []uint32{pid}},
		{call: unix.SYS_KILL, argument: 0, values: []uint32{pid}},
		{call: unix.SYS_FCNTL, argument: 1, values: []uint32{unix.F_GETFL, unix.F_GETFD}},
		{call: unix.SYS_PRCTL, argument: 0, values: []uint32{unix.PR_SET_VMA}}, // the runtime names its mappings
	}
}

const (
	returnAllow = unix.SECCOMP_RET_ALLOW
	returnEPERM = unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	// returnENOSYS makes the C library fall back from clone3, whose flags a filter cannot see, to clone.
	returnENOSYS = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
)

// filter is the program that the kernel runs before every system call.
func filter(pid uint32) []unix.SockFilter {
	program := []unix.SockFilter{
		loadWord(offsetArch),
		jump(unix.BPF_JEQ, auditArch, 1, 0),
		ret(unix.SECCOMP_RET_KILL_PROCESS),
		loadWord(offsetNumber),
	}
	for _, call := range allowed {
		program = append(program, jump(unix.BPF_JEQ, call, 0, 1), ret(returnAllow))
	}
	program = append(program, jump(unix.BPF_JEQ, unix.SYS_CLONE3, 0, 1), ret(returnENOSYS))
	for _, c := range conditions(pid) {
		block := c.block()
		program = append(program, jump(unix.BPF_JEQ, c.call, 0, uint8(len(block))))
		program = append(program, block...)
	}
	return append(program, ret(returnEPERM))
}

func (c condition) block() []unix.SockFilter {
	block := []unix.SockFilter{loadWord(offsetArgs + 8*c.argument)}
	switch {
	case c.set != 0:
		block = append(block, jump(unix.BPF_JSET, c.set, 0, 1), ret(returnAllow))
	case c.clear != 0:
		block = append(block, jump(unix.BPF_JSET, c.clear, 1, 0), ret(returnAllow))
	default:
		for _, v := range c.values {
			block = append(block, jump(unix.BPF_JEQ, v, 0, 1), ret(returnAllow))
		}
	}
	return append(block, ret(returnEPERM))
}

func loadWord(offset uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}

func jump(test uint16, k uint32, yes, no uint8) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | test | unix.BPF_K, Jt: yes, Jf: no, K: k}
}

func ret(action uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
}

// restrictCalls puts the filter on every thread of this process, for good.
func restrictCalls() error {
	runtime.LockOSThread() // no_new_privs is the thread's; the filter's TSYNC carries it to the others
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	program := filter(uint32(os.Getpid()))
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	thread, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	switch {
	case errno != 0:
		return fmt.Errorf("install seccomp filter: %w", errno)
	case thread != 0:
		return fmt.Errorf("install seccomp filter: thread %d cannot take it", thread)
	}
	return nil
}
