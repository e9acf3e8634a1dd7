package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	statusservice "github.com/envoyproxy/go-control-plane/envoy/service/status/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// TestServed asks a running daemon why a URL behaves as it does, and what its proxy has; a standard tool asks the same by CSDS.
func TestServed(t *testing.T) {
	d := startDemo(t, 1)
	ask := func(args ...string) (int, string) {
		var out bytes.Buffer
		code := run(t.Context(), append(args, "--state", d.Daemon.State), strings.NewReader(""), &out, &out)
		return code, out.String()
	}
	soon := func(want string, args ...string) string {
		t.Helper()
		var said string
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			var code int
			if code, said = ask(args...); code == 0 && strings.Contains(said, want) {
				return said
			}
		}
		t.Errorf("%v never says %q:\n%s", args, want, said)
		return said
	}
	said := soon("on: envoy-1\n", "explain", "--served", "status.acme.example/browse")
	for _, want := range []string{"forwarded to pages 100% by route all; declared at services/statuspage/statuspage.cue:11:3", "100% to backend pages, cluster c/statuspage/", ": 127.0.0.1:", "served by commit "} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in:\n%s", want, said)
		}
	}
	soon("404: no service has this name", "explain", "--served", "nobody.acme.example/")
	if code, said := ask("explain", "--served", "--dir", ".", "a.example/"); code == 0 || !strings.Contains(said, "dir served") {
		t.Errorf("both: %d %s", code, said)
	}

	said = soon("it has everything that is published", "status", "--proxy", "envoy-1")
	for _, want := range []string{"envoy-1 of fleet edge: Envoy 1.40.0", "revision.sha", "Cluster ", "RouteConfiguration ", "ScopedRouteConfiguration ", "Listener "} {
		if !strings.Contains(said, want) {
			t.Errorf("want %q in:\n%s", want, said)
		}
	}
	if code, said := ask("status", "--proxy", "envoy-7"); code != exitError || !strings.Contains(said, "those that are: envoy-1") {
		t.Errorf("one that is not there: %d %s", code, said)
	}

	data, err := os.ReadFile(filepath.Join(d.Daemon.State, addressFile))
	if err != nil {
		t.Fatal(err)
	}
	var where address
	if err := json.Unmarshal(data, &where); err != nil {
		t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(d.Daemon.State, tokenFile))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(where.XDS, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+strings.TrimSpace(string(token)))
	got, err := statusservice.NewClientStatusDiscoveryServiceClient(conn).FetchClientStatus(ctx, &statusservice.ClientStatusRequest{})
	if err != nil || len(got.Config) != 1 || len(got.Config[0].GenericXdsConfigs) < 60 {
		t.Errorf("client status: %d proxies, %v", len(got.GetConfig()), err)
	}
}
