package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/demo"
	"github.com/edgewright/edgewright/fixtures/envoy"
	"github.com/edgewright/edgewright/fixtures/load"
)

// TestBadInput brings everything that a running daemon may be given: each is a clear sentence on the page, in the log and in a
// metric, and not one request to the edge fails meanwhile.
func TestBadInput(t *testing.T) {
	d := startDemo(t, 1)
	b := &badInput{t, d}
	b.told("the start", "converged", "edgewright_problems 0", "")
	l, err := load.Start(t.Context(), load.Target{URL: d.Public[0], Host: "jira.acme.example", Path: "/"}, 100, load.OK)
	if err != nil {
		t.Fatal(err)
	}

	b.forgedWebhook()
	b.told("a webhook with a wrong signature", "webhook delivery turned away", `edgewright_webhook_deliveries_total{outcome="refused"} 1`, "webhook delivery turned away")

	stranger, err := envoy.Start(t.Context(), envoy.Config{Binary: envoy.Binary(d.Tools), Dir: filepath.Join(t.TempDir(), "moon"), Node: "stranger", Fleet: "moon", XDS: d.Daemon.XDS})
	if err != nil {
		t.Fatal(err)
	}
	b.told("an Envoy of an unknown fleet", "its fleet is not there", `edgewright_xds_turned_away_total{reason="unknown fleet"}`, "its fleet is not there")
	if metrics, err := b.get("/metrics"); err != nil || strings.Contains(metrics, `{reason="unknown fleet"} 0`) {
		t.Errorf("it was not counted: %v", err)
	}
	if err := stranger.Stop(); err != nil {
		t.Error(err)
	}

	b.push("large", "services/trello/trello-web.cue", func(text string) string { return text + "// " + strings.Repeat("x", 300<<10) + "\n" })
	b.told("an oversize file", "this file is larger than 256 KiB", "edgewright_problems 1", "this file is larger than 256 KiB")
	b.push("hostile", "services/trello/trello-web.cue", func(string) string {
		return "package services\n\n_a: \"xxxxxxxxxxxxxxxx\"\n_b: _a*1000000\nservices: \"trello-web\": _b*1000\n"
	})
	b.told("a hostile file", "needs more than 512 MiB of memory", "edgewright_problems 1", "limit/memory")
	b.served("trello.acme.example")

	b.rewrite()
	b.told("a rewritten branch", "the branch was rewritten", "edgewright_problems 0", "the branch was rewritten")

	if err := d.Emulator.Stop(); err != nil {
		t.Error(err)
	}
	b.told("AWS that is down", "zone cannot be listed", `edgewright_zone_up{scope="zone/acme.example"} 0`, "zone cannot be listed")
	if err := d.Forge.Close(); err != nil {
		t.Error(err)
	}
	b.told("a repository that is unreachable", "The repository cannot be read", "edgewright_source_up 0", "the repository cannot be read")
	if r := l.Stop(); r.Failed > 0 || r.Total < 100 {
		t.Errorf("the edge was not served through all of this: %s", r)
	}
}

type badInput struct {
	*testing.T
	demo *demo.Demo
}

func (b *badInput) get(path string) (string, error) {
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+b.demo.Daemon.Web+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return string(data), err
}

// told waits until the page, the metrics and the log say it.
func (b *badInput) told(what, page, metric, log string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	err := load.Until(ctx, 50*time.Millisecond, func(context.Context) error {
		html, err := b.get("/")
		if err == nil && !strings.Contains(html, page) {
			err = fmt.Errorf("the page does not say %q", page)
		}
		metrics, failed := b.get("/metrics")
		if err = errors.Join(err, failed); err == nil && !strings.Contains(metrics, metric) {
			err = fmt.Errorf("the metrics do not hold %s", metric)
		}
		if err == nil && !strings.Contains(b.demo.Daemon.Log(200), log) {
			err = fmt.Errorf("the log does not say %q", log)
		}
		return err
	})
	if err != nil {
		b.Fatalf("%s: %v\n%s", what, err, b.demo.Daemon.Log(10))
	}
}

func (b *badInput) forgedWebhook() {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "http://"+b.demo.Daemon.Web+"/webhook", strings.NewReader(`{"ref":"refs/heads/main"}`))
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-GitHub-Event", "push")
	req.Header.Set("X-GitHub-Delivery", "11111111-2222-3333-4444-555555555555")
	req.Header.Set("X-Hub-Signature-256", "sha256="+strings.Repeat("0", 64))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode/100 != 4 {
		b.Errorf("a forged webhook got %s", resp.Status)
	}
}

func (b *badInput) push(name, path string, change func(string) string) {
	b.Helper()
	clone, err := b.demo.Clone(b.Context(), name)
	if err == nil {
		err = clone.Edit(path, change)
	}
	if err == nil {
		_, err = clone.Push(b.Context(), "main", name)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// rewrite throws the two bad commits away by force.
func (b *badInput) rewrite() {
	b.Helper()
	clone, err := b.demo.Clone(b.Context(), "rewrite")
	if err == nil {
		_, err = clone.Git(b.Context(), "reset", "--quiet", "--hard", "HEAD~2")
	}
	if err == nil {
		_, err = clone.Git(b.Context(), "push", "--quiet", "--force", "origin", "HEAD:refs/heads/main")
	}
	if err != nil {
		b.Fatal(err)
	}
}

func (b *badInput) served(host string) {
	b.Helper()
	if a, err := load.Once(b.Context(), b.demo.Public[0], host, "/"); err != nil || a.Status != 200 {
		b.Errorf("%s is not served: %+v %v", host, a, err)
	}
}
