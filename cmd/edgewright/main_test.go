package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/fixtures/demo"
)

// TestMain is also the program: the story and the scripts start this binary again.
func TestMain(m *testing.M) {
	if os.Getenv("EDGEWRIGHT_TEST_MAIN") != "" || len(os.Args) == 2 && os.Args[1] == "evaluate" {
		main()
	}
	testscript.Main(m, map[string]func(){"edgewright": main})
}

// program is this binary, which is edgewright too, and the folder of tools.
func program(t *testing.T) (self, tools string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if tools = os.Getenv("EDGEWRIGHT_TOOLS"); tools == "" {
		tools = filepath.Join("..", "..", ".tools")
	}
	if tools, err = filepath.Abs(tools); err != nil {
		t.Fatal(err)
	}
	return self, tools
}

// startDemo starts the demo with this binary as its daemon. It ends with the test.
func startDemo(t *testing.T, envoys int, flags ...string) *demo.Demo {
	t.Helper()
	self, tools := program(t)
	t.Setenv("EDGEWRIGHT_TEST_MAIN", "1")
	d, err := demo.Start(t.Context(), demo.Config{Dir: t.TempDir(), Tools: tools, Command: []string{self}, Envoys: envoys, Out: t.Output(), Flags: flags})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Log("stop:", err) // a part may have been ended by the test
		}
	})
	return d
}

// TestStory is the main job on real parts: what `make demo CHECK=1` plays.
func TestStory(t *testing.T) {
	self, tools := program(t)
	command := exec.CommandContext(t.Context(), self, "demo", "--check", "--tools", tools, "--dir", t.TempDir())
	command.Env = append(os.Environ(), "EDGEWRIGHT_TEST_MAIN=1")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = 30 * time.Second
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	t.Log("\n" + out.String())
	if err != nil {
		t.Fatal(err)
	}
	if want := 11; bytes.Count(out.Bytes(), []byte("\n")) != want {
		t.Errorf("the story has %d lines, want %d: ten steps and the verdict", bytes.Count(out.Bytes(), []byte("\n")), want)
	}
}

// TestScripts are the verbs as people and scripts see them: answer, faults and exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "", RequireExplicitExec: true, Setup: copyFixtures})
}

// copyFixtures puts the fixture repository into the folder of a script.
func copyFixtures(env *testscript.Env) error {
	for _, f := range fixtures.EdgeConfig() {
		path := filepath.Join(env.WorkDir, "edge-config", filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, f.Data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
