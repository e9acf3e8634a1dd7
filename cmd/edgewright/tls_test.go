package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/authority"
	"github.com/edgewright/edgewright/fixtures/demo"
	"github.com/edgewright/edgewright/reconciler"
)

// TestTLSFromACommit declares TLS for a listener of the running demo: it is served from the files, follows them, tells of bad ones, and
// nothing of a key is anywhere but there.
func TestTLSFromACommit(t *testing.T) {
	d, dir, ca := startDemo(t, 1), t.TempDir(), authority.New(t)
	const host = "automation.jira.acme.internal"
	first := ca.Issue(host)
	chain, key := first.Write(t, dir, "inner")
	until(t, "the demo converges", func() error {
		r, err := getOver(d, host, nil)
		if err == nil && r.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d", r.StatusCode)
		}
		return err
	})
	clone, err := d.Clone(t.Context(), "tls")
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	err = clone.Edit("platform/fleets.cue", func(text string) string {
		text = strings.Replace(text, "internal: port: 8081", `internal: {port: 8081, tls: policies: modern: minimum: "1.3"}`, 1)
		return strings.Replace(text, "ttl:", fmt.Sprintf("certificates: inner: {chain: %q, key: %q, hosts: [%q], exposure: \"internal\"}\n\tttl:", chain, key, host), 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clone.Push(t.Context(), "main", "TLS inside"); err != nil {
		t.Fatal(err)
	}
	var v reconciler.View
	until(t, "TLS waits for a person, for it takes plain HTTP away", func() error {
		_, _, err := d.Daemon.Call(t.Context(), http.MethodGet, "/api/v1/status", nil, &v)
		if err == nil && v.Pending == "" {
			err = fmt.Errorf("nothing waits: %v", v.Problems)
		}
		return err
	})
	var said bytes.Buffer
	if code := run(t.Context(), []string{"apply", v.Pending, "--wait", "0", "--state", d.Daemon.State}, strings.NewReader(""), &said, &said); code != 0 {
		t.Fatalf("apply: %d\n%s", code, &said)
	}
	config := &tls.Config{RootCAs: ca.Pool(), ServerName: host}
	shows := func(c authority.Certificate) func() error {
		return func() error {
			r, err := getOver(d, host, config)
			if err == nil && (r.StatusCode != http.StatusOK || r.TLS.PeerCertificates[0].SerialNumber.String() != c.Serial(t)) {
				err = fmt.Errorf("status %d, another certificate", r.StatusCode)
			}
			return err
		}
	}
	until(t, "the first certificate", shows(first))
	second := ca.Issue(host)
	second.Write(t, dir, "inner")
	until(t, "the second certificate", shows(second))

	authority.Replace(t, key, first.Key)
	failed := `edgewright_certificate_failed{fleet="edge",name="inner"} 1`
	until(t, "bad files are told in metrics", func() error {
		if text := page(t, d, "/metrics"); !strings.Contains(text, failed) || !strings.Contains(text, `edgewright_certificate_expiry_seconds{fleet="edge",name="inner"}`) {
			return fmt.Errorf("no %s", failed)
		}
		return nil
	})
	if text := page(t, d, "/"); !strings.Contains(text, "certificate not taken") {
		t.Error("the page does not tell of bad files")
	}
	if err := shows(second)(); err != nil {
		t.Errorf("with bad files: %v", err)
	}
	tellsNoKey(t, d, first.Key, second.Key)
}

// tellsNoKey looks for keys in all that the daemon says and keeps.
func tellsNoKey(t *testing.T, d *demo.Demo, keys ...[]byte) {
	t.Helper()
	said := map[string][]byte{}
	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/resources"} {
		said[path] = []byte(page(t, d, path))
	}
	err := filepath.WalkDir(d.Dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // a socket, or gone
		}
		said[path], err = os.ReadFile(path)
		if os.IsNotExist(err) {
			err = nil
		}
		return err
	})
	if err != nil || len(said) < 10 {
		t.Fatal(len(said), err)
	}
	for where, data := range said {
		for _, key := range keys {
			block, _ := pem.Decode(key)
			line := strings.Split(string(key), "\n")[1]
			if bytes.Contains(data, []byte(line)) || bytes.Contains(data, block.Bytes[40:60]) {
				t.Errorf("a key is told in %s", where)
			}
		}
	}
}

func until(t *testing.T, what string, is func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = is(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func page(t *testing.T, d *demo.Demo, path string) string {
	t.Helper()
	_, text, err := d.Daemon.Call(t.Context(), http.MethodGet, path, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// getOver asks at the internal listener of the first Envoy; with a config by TLS.
func getOver(d *demo.Demo, host string, config *tls.Config) (*http.Response, error) {
	at, scheme := strings.TrimPrefix(d.Internal[0], "http://"), "http"
	if config != nil {
		scheme = "https"
	}
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: config.Clone(), DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, at)
		}}}
	r, err := c.Get(scheme + "://" + host + "/")
	if err == nil {
		err = r.Body.Close()
	}
	return r, err
}
