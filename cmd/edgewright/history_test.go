package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestHistory asks a running daemon what it did, and whether its audit is whole.
func TestHistory(t *testing.T) {
	d := startDemo(t, 1)
	ask := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := run(t.Context(), append(args, "--state", d.Daemon.State), strings.NewReader(""), &out, &errs)
		return code, out.String(), errs.String()
	}
	const want = "create dns/record zone/acme.example A jira.acme.example  by edgewright, commit "
	end := time.Now().Add(20 * time.Second)
	code, out, errs := ask("history", "jira.acme.example")
	for ; !strings.Contains(out, want) && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		code, out, errs = ask("history", "jira.acme.example")
	}
	if code != 0 || !strings.Contains(out, want) || !strings.Contains(out, ": applied") {
		t.Errorf("history: %d\n%s%s", code, out, errs)
	}
	if code, out, _ := ask("history", "jira-web", "--json"); code != 0 || !strings.Contains(out, `"what": "create envoy/service fleet/edge jira-web"`) {
		t.Errorf("history of a service: %d\n%s", code, out)
	}
	if code, _, errs := ask("history", "nobody.acme.example"); code != 1 || !strings.Contains(errs, "says nothing of nobody.acme.example") {
		t.Errorf("history of nobody: %d %s", code, errs)
	}
	if code, out, errs := ask("audit", "verify"); code != 0 || out != "the audit is whole\n" {
		t.Errorf("audit verify: %d %s%s", code, out, errs)
	}
	var none bytes.Buffer
	if code := run(t.Context(), []string{"audit", "verify", "--state", filepath.Join(t.TempDir(), "none")}, strings.NewReader(""), &none, &none); code != 1 || !strings.Contains(none.String(), "no daemon has its state in") {
		t.Errorf("without a daemon: %d %s", code, none.String())
	}
}
