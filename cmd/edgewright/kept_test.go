package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestKeptPlan keeps a plan in a file; it is taken only once the branch has what was planned, and only as it was kept.
func TestKeptPlan(t *testing.T) {
	d := startDemo(t, 1)
	ask := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append(args, "--state", d.Daemon.State), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	folder, file := t.TempDir(), filepath.Join(t.TempDir(), "plan.json")
	if err := os.CopyFS(folder, os.DirFS("../../fixtures/edge-config")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(folder, "services/trello/trello-web.cue")); err != nil {
		t.Fatal(err)
	}
	var code int
	var said string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if code, said = ask("plan", folder, "--out", file); strings.Contains(said, "to delete") {
			break
		}
	}
	if code != 0 || !strings.Contains(said, "to delete") {
		t.Fatalf("plan: %d\n%s", code, said)
	}
	if code, said := ask("apply", file); code != exitRefused || !strings.Contains(said, "merge it first") {
		t.Errorf("a plan that is not merged: %d\n%s", code, said)
	}
	if code, said := ask("apply", filepath.Join(folder, "none.json")); code != exitError || !strings.Contains(said, "no such file") {
		t.Errorf("no file: %d\n%s", code, said)
	}
	if err := os.WriteFile(file, []byte(`{"steps": []}, x`), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := ask("apply", file); code != exitError || !strings.Contains(said, "something follows the plan") {
		t.Errorf("a broken file: %d\n%s", code, said)
	}
}
