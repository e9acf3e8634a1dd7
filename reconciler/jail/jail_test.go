//go:build linux && (amd64 || arm64)

package jail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema/load"
)

// TestMain is also the child: the tests start this binary again.
func TestMain(m *testing.M) {
	switch os.Getenv("JAIL_ROLE") + strings.Join(os.Args[1:], " ") {
	case "evaluate":
		os.Exit(Serve(os.Stdin, os.Stdout))
	case "escape":
		os.Exit(escape())
	}
	os.Exit(m.Run())
}

func start(t *testing.T, l Limits) *Evaluator {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	e := &Evaluator{Command: []string{self, "evaluate"}, Limits: l}
	t.Cleanup(e.Close)
	if err := e.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	return e
}

func service(body string) load.File {
	return load.File{Path: "services/trello/x.cue", Data: []byte("package services\n" + body)}
}

func one(f load.File) load.Unit { return load.Unit{Files: []load.File{f}} }

// TestSameAsTrusted holds that a confined process says exactly what an unconfined one says.
func TestSameAsTrusted(t *testing.T) {
	var files []load.Unit
	for _, f := range append(fixtures.Declarations(fixtures.EdgeConfig())[2:], service("services: x: {hosts: 3}"), service("oops: [")) {
		files = append(files, one(f))
	}
	got, err := start(t, Limits{}).Evaluate(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	want, err := (&load.Trusted{}).Evaluate(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text(t, want), text(t, got)); diff != "" {
		t.Errorf("confined evaluation differs (-trusted +confined):\n%s", diff)
	}
}

func text(t *testing.T, results []load.Result) string {
	t.Helper()
	data, err := json.MarshalIndent(results, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestInvariant11UntrustedInputIsBounded gives hostile files among good ones: each gets its problem in bounded time, its
// neighbours what they would have got without it.
func TestInvariant11UntrustedInputIsBounded(t *testing.T) {
	hostile := map[string]load.File{
		"limit/memory": service(`_a: "xxxxxxxxxxxxxxxx"
_b: _a*1000000
_c: _b*1000
services: x: _c`),
		"limit/time": service(`_l: [for a in _r for b in _r for c in _r for d in _r for e in _r if a+b+c+d+e < 0 {a}]
_r: [` + strings.Repeat("1,", 200) + `]
services: x: fleet: "\(len(_l))"`),
		"limit/input":   {Path: "services/trello/big.cue", Data: make([]byte, 2<<20)},
		"limit/nesting": service("services: x: " + strings.Repeat("{a:", 10000) + "1"),
	}
	good := fixtures.Declarations(fixtures.EdgeConfig())[3]
	e := start(t, Limits{WallPerFile: 2 * time.Second, CPUPerFile: time.Second})
	for codes, file := range hostile {
		t.Run(codes, func(t *testing.T) {
			began := time.Now()
			results, err := e.Evaluate(t.Context(), []load.Unit{one(good), one(file), one(good)})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
			for _, i := range []int{0, 2} {
				if len(results[i].Problems) > 0 {
					t.Errorf("a neighbour got problems: %v", results[i].Problems)
				}
			}
			if got := results[1].Problems; len(got) != 1 || !strings.Contains("|"+codes+"|", "|"+string(got[0].Code)+"|") {
				t.Errorf("problems %v, want one of %s", got, codes)
			} else if len(got[0].Holds) == 0 || got[0].Hint == "" {
				t.Errorf("problem %+v names no service or no remedy", got[0])
			}
		})
	}
}

// TestEscape lets a confined process try what an evaluation never needs.
func TestEscape(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self, "escape")
	command.Env = []string{"TARGET=" + listener.Addr().String()}
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "confined") {
		t.Fatalf("%v: %s", err, out)
	}
}

func escape() int {
	target := os.Getenv("TARGET")
	if err := confine(Limits{}.withDefaults()); err != nil {
		fmt.Println(err)
		return 1
	}
	attempts := map[string]func() error{
		"open a file":     func() error { _, err := os.ReadFile("/etc/hostname"); return err },
		"write a file":    func() error { return os.WriteFile(os.TempDir()+"/escaped", nil, 0o600) },
		"dial":            func() error { _, err := net.Dial("tcp", target); return err },
		"make a socket":   func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0); return err },
		"start a process": func() error { return exec.Command("/bin/true").Run() },
		"kill the parent": func() error { return unix.Kill(os.Getppid(), 0) },
		"raise a limit":   func() error { return unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 999, Max: 999}) },
		"trace":           func() error { return unix.PtraceAttach(os.Getppid()) },
		"read /proc":      func() error { _, err := os.ReadFile("/proc/self/maps"); return err },
		"list a folder":   func() error { _, err := os.ReadDir("/"); return err },
		"see a file":      func() error { _, err := os.Stat("/etc/passwd"); return err },
		"remove a file":   func() error { return os.Remove("/nowhere") },
		"change folders":  func() error { return os.Chdir("/") },
		"speak to unix":   func() error { _, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
		"speak to kernel": func() error { _, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); return err },
		"make a file of memory": func() error {
			_, err := unix.MemfdCreate("x", 0)
			return err
		},
		"open in another way": func() error { _, err := unix.Openat2(unix.AT_FDCWD, "/etc/passwd", &unix.OpenHow{}); return err },
		"load a program":      func() error { return called(unix.SYS_BPF) },
		"watch the machine":   func() error { return called(unix.SYS_PERF_EVENT_OPEN) },
		"queue calls":         func() error { return called(unix.SYS_IO_URING_SETUP) },
		"fork":                func() error { return called(unix.SYS_CLONE, uintptr(unix.SIGCHLD)) },
		"be another user":     func() error { return unix.Setuid(1) },
		"mount":               func() error { return unix.Mount("none", "/", "tmpfs", 0, "") },
		"leave its namespaces": func() error {
			return unix.Unshare(unix.CLONE_NEWUSER)
		},
		"read another's memory": func() error {
			_, err := unix.ProcessVMReadv(os.Getppid(), nil, nil, 0)
			return err
		},
		"map code": func() error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
			return err
		},
	}
	for name, try := range attempts {
		if err := try(); err == nil {
			fmt.Println("a confined process could", name)
			return 1
		}
	}
	fmt.Println("confined")
	return 0
}

// called makes a system call by its number.
func called(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	if _, _, errno := unix.RawSyscall(number, args[0], args[1], args[2]); errno != 0 {
		return errno
	}
	return nil
}

// TestChildHasNothing holds that a child got no environment and no files but its pipes.
func TestChildHasNothing(t *testing.T) {
	t.Setenv("SECRET_OF_THE_PARENT", "1")
	start(t, Limits{})
	found := 0
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		children, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		for _, pid := range strings.Fields(string(children)) {
			found++
			if environ, err := os.ReadFile("/proc/" + pid + "/environ"); err != nil || string(environ) != "GODEBUG=containermaxprocs=0,updatemaxprocs=0\x00" {
				t.Errorf("the child's environment is %q (%v)", environ, err)
			}
			files, err := os.ReadDir("/proc/" + pid + "/fd")
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				to, _ := os.Readlink("/proc/" + pid + "/fd/" + f.Name())
				if !strings.HasPrefix(to, "pipe:") && !strings.HasPrefix(to, "anon_inode:") && to != "/dev/null" {
					t.Errorf("the child has %s open", to)
				}
			}
		}
	}
	if found == 0 {
		t.Fatal("there is no child to look at")
	}
}

// TestClose holds that no child outlives the evaluator, and that a closed one says so.
func TestClose(t *testing.T) {
	e := start(t, Limits{})
	e.Close()
	_, err := e.Evaluate(context.Background(), []load.Unit{one(service(""))})
	if !errors.Is(err, errClosed) {
		t.Errorf("error %v, want %v", err, errClosed)
	}
	if children, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); len(strings.TrimSpace(string(children))) > 0 {
		t.Errorf("children left: %s", children)
	}
}

func TestCannotStart(t *testing.T) {
	e := &Evaluator{Command: []string{"/nowhere/edgewright", "evaluate"}}
	defer e.Close()
	if err := e.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), "/nowhere/edgewright") {
		t.Errorf("error %v, want one that names the program", err)
	}
}

// TestMemoryThatIsRefused holds that a child which ends because it was given no more memory is told as that, however it ended.
func TestMemoryThatIsRefused(t *testing.T) {
	e := start(t, Limits{CPUPerFile: time.Minute, WallPerFile: time.Minute})
	results, err := e.Evaluate(t.Context(), []load.Unit{one(service("import \"list\"\n_l: list.Range(0, 1000000000, 1)\nservices: x: tier: \"\\(_l[999])\""))})
	if err != nil || len(results[0].Problems) != 1 || results[0].Problems[0].Code != CodeMemory {
		t.Errorf("got %v, %v", results, err)
	}
}
