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
			} else if got[0].Service == "" || got[0].Hint == "" {
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
