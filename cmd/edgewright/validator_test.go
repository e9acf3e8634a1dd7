package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/reconciler"
)

func TestValidatorIsFound(t *testing.T) {
	_, tools := program(t)
	real, folder := envoy.Binary(tools), t.TempDir()
	if err := os.Symlink(real, filepath.Join(folder, "envoy")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, flag, path string
		asked            bool   // of Envoy
		says             string // without Envoy, or as an error
	}{
		{name: "in PATH", path: folder, asked: true},
		{name: "by flag", flag: real, path: t.TempDir(), asked: true},
		{name: "nowhere", path: t.TempDir(), says: "there is no envoy in PATH; give one with --envoy"},
		{name: "switched off", flag: "none", path: folder, says: "--envoy none"},
		{name: "wrong", flag: "/nowhere/envoy", path: folder, says: "no such file or directory; give another with --envoy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("PATH", c.path)
			var log bytes.Buffer
			v, without, err := newValidator(t.Context(), c.flag, reconciler.NewMetrics(prometheus.NewRegistry()), slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				without = err.Error()
			}
			if (without == "") != c.asked || !strings.Contains(without, c.says) {
				t.Errorf("without Envoy because %q, want %q", without, c.says)
			}
			if err == nil && (v.Envoy() != "") != c.asked {
				t.Errorf("Envoy is %q", v.Envoy())
			}
			if told := strings.Count(log.String(), "not validated by Envoy"); err == nil && (told == 1) == c.asked {
				t.Errorf("told %d times:\n%s", told, log.String())
			}
		})
	}
}
