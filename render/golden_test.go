package render_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema/load"
)

var update = flag.Bool("update", false, "rewrite the goldens")

// TestGolden holds what declarations render to. A case is files laid over the platform of the fixture repository, and every
// resource of the services among them.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(cases) < 18 {
		t.Fatalf("%d cases, want at least 18 (%v)", len(cases), err)
	}
	for _, name := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == "rendered" && *update })
			want := ""
			var files []load.File
			for _, f := range fixtures.Declarations(fixtures.EdgeConfig()) {
				if strings.HasPrefix(f.Path, "platform/") && !slices.ContainsFunc(archive.Files, func(a txtar.File) bool { return a.Name == f.Path }) {
					files = append(files, f)
				}
			}
			for _, f := range archive.Files {
				if f.Name == "rendered" {
					want = string(f.Data)
					continue
				}
				files = append(files, load.File{Path: f.Name, Data: f.Data})
			}
			files = append(files, load.File{Path: "platform/rules.cue", Data: []byte("package platform\n\nrules: {\"backend/health\": \"off\", \"redirect/dangling\": \"off\"}\n")})
			got := rendered(t, files)
			if *update {
				archive.Files = append(archive.Files, txtar.File{Name: "rendered", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rendered differs (-want +got):\n%s", diff)
			}
		})
	}
}

func rendered(t *testing.T, files []load.File) string {
	t.Helper()
	commit, err := (&load.Loader{Evaluator: &load.Trusted{}}).Load(context.Background(), files)
	if err != nil || len(commit.Problems) > 0 {
		t.Fatal(err, commit.Problems)
	}
	set, err := render.Edge(commit.Edge)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, key := range set.Keys() {
		r := set[key]
		if r.Service == "" && !platformCase(files) {
			continue
		}
		fmt.Fprintf(&out, "%s (%s, needs %v)\n", key, r.Service, r.Needs)
		if key.Kind != resource.EnvoyService {
			out.WriteString(indented(t, r.Spec))
			continue
		}
		unit, err := envoy.DecodeUnit(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "domains %v\n", unit.Domains)
		out.WriteString(message(t, unit.VirtualHost, &routev3.VirtualHost{}))
		for _, c := range unit.Clusters {
			out.WriteString(message(t, c.Proto, &clusterv3.Cluster{}))
		}
		for _, e := range unit.Endpoints {
			out.WriteString(message(t, e.Proto, &endpointv3.ClusterLoadAssignment{}))
		}
	}
	return out.String()
}

// platformCase tells whether a case is about the platform's own resources: then it declares no service.
func platformCase(files []load.File) bool {
	return !slices.ContainsFunc(files, func(f load.File) bool { return strings.HasPrefix(f.Path, "services/") })
}

// message is a message as JSON whose spaces do not depend on the day.
func message(t *testing.T, encoded []byte, into proto.Message) string {
	t.Helper()
	if err := proto.Unmarshal(encoded, into); err != nil {
		t.Fatal(err)
	}
	data, err := protojson.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	return indented(t, data)
}

func indented(t *testing.T, data []byte) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}
