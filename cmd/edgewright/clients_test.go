package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	xdsresolver "google.golang.org/grpc/xds"
)

// callee is a gRPC server that says who it is.
type callee struct {
	grpc_health_v1.UnimplementedHealthServer
	name string
}

func (n callee) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	return &grpc_health_v1.HealthCheckResponse{}, grpc.SetHeader(ctx, metadata.Pairs("from", n.name))
}

// TestClientsFromACommit declares a fleet of gRPC clients, and a service that they call, in the running demo: grpc-go's own client finds its
// way to where the commit says, and to where the next one says; no record is made for it, explain tells of it, and status shows the client.
func TestClientsFromACommit(t *testing.T) {
	d := startDemo(t, 1)
	clone, err := d.Clone(t.Context(), "clients")
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := map[string]string{}
	for _, name := range []string{"a", "b"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		g := grpc.NewServer()
		grpc_health_v1.RegisterHealthServer(g, callee{name: name})
		go func() { _ = g.Serve(l) }()
		t.Cleanup(g.Stop)
		at[name] = l.Addr().String()
	}
	push := func(address, message string) {
		t.Helper()
		for path, text := range map[string]string{
			"platform/calls.cue": "package platform\n\nfleets: calls: kind: \"grpc\"\n",
			"services/jira/orders.cue": fmt.Sprintf(`package services

services: orders: {
	owner: {team: "jira", oncall: "#jira-oncall"}
	hosts: ["orders.jira.acme.internal"]
	exposure: "internal"
	fleet:    "calls"
	backends: main: addresses: [%q]
	routes: [{name: "all", forward: to: [{backend: "main"}]}]
}
`, address),
		} {
			if err := os.WriteFile(filepath.Join(clone.Dir, path), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := clone.Push(t.Context(), "main", message); err != nil {
			t.Fatal(err)
		}
	}
	push(at["a"], "orders")
	builder, err := xdsresolver.NewXDSResolverWithConfigForTesting(fmt.Appendf(nil, `{
		"xds_servers": [{"server_uri": %q, "channel_creds": [{"type": "insecure"}], "server_features": ["xds_v3"]}],
		"node": {"id": "shop-1", "cluster": "calls"}
	}`, d.Daemon.XDS))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("xds:///orders.jira.acme.internal", grpc.WithResolvers(builder), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answeredBy := func(want string) func() error {
		return func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			var header metadata.MD
			_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header))
			if err == nil && header.Get("from")[0] != want {
				err = fmt.Errorf("answered by %s", header.Get("from"))
			}
			return err
		}
	}
	until(t, "the first endpoint answers", answeredBy("a"))
	if got, err := d.Record(t.Context(), "orders.jira.acme.internal"); err != nil || len(got) > 0 {
		t.Errorf("a record is made: %v %v", got, err)
	}
	for args, want := range map[string]string{
		"status": "shop-1",
		"explain --served orders.jira.acme.internal/": at["a"],
	} {
		until(t, args+" tells of it", func() error {
			var said bytes.Buffer
			code := run(t.Context(), append(strings.Fields(args), "--state", d.Daemon.State), strings.NewReader(""), &said, &said)
			if code != 0 || !strings.Contains(said.String(), want) {
				return fmt.Errorf("ended with %d:\n%s", code, &said)
			}
			return nil
		})
	}
	push(at["b"], "orders moves")
	until(t, "the second endpoint answers", answeredBy("b"))
}
