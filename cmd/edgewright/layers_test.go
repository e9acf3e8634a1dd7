package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/edgewright/edgewright/"

// layers is the import map: each package of the house and what it may import of it. A change here is a change of the design.
// fixtures may import anything but cmd, and only cmd and tests may import fixtures.
var layers = map[string][]string{
	"schema":                   {},
	"schema/form":              {"schema"},
	"schema/load":              {"schema", "schema/form", "schema/policy"},
	"schema/rdata":             {},
	"schema/policy":            {"schema", "schema/rdata"},
	"schema/corpus":            {},
	"schema/pages":             {"schema"},
	"schema/reference":         {"schema/form", "schema/pages"},
	"render/resource":          {"schema"},
	"render/dns":               {"schema", "schema/rdata"},
	"render/envoy":             {"schema"},
	"render":                   {"schema", "render/resource", "render/dns", "render/envoy"},
	"reconciler/secret":        {},
	"reconciler/plan":          {"schema", "render/resource", "render/dns", "render/envoy"},
	"reconciler/release":       {"schema", "render/resource", "render/envoy", "reconciler/plan"},
	"reconciler/validate":      {"schema", "render/envoy"},
	"reconciler/state":         {"schema", "render/resource", "reconciler/plan", "reconciler/release", "reconciler/validate"},
	"reconciler/state/sqlite":  {"reconciler/state"},
	"reconciler/election":      {"reconciler/state"},
	"reconciler/audit":         {"render/resource", "reconciler/state"},
	"reconciler/source":        {"reconciler/secret"},
	"reconciler/shelf":         {},
	"reconciler/jail":          {"schema", "schema/load"},
	"reconciler/xds":           {"schema", "render/envoy", "reconciler/secret"},
	"reconciler/certificates":  {"schema", "render/envoy", "reconciler/secret", "reconciler/xds"},
	"reconciler/aws/budget":    {},
	"reconciler/aws/transport": {},
	"reconciler/aws/route53":   {"schema", "schema/rdata", "render/resource", "render/dns", "reconciler/plan", "reconciler/aws/budget", "reconciler/aws/transport"},
	"reconciler/forge":         {"schema", "render/resource", "render/dns", "render/envoy", "reconciler/plan"},
	"reconciler/forge/github":  {"schema", "reconciler/forge", "reconciler/plan", "reconciler/secret"},
	"reconciler":               {"schema", "schema/load", "schema/policy", "render", "render/resource", "render/envoy", "reconciler/plan", "reconciler/release", "reconciler/state", "reconciler/audit", "reconciler/validate", "reconciler/forge", "reconciler/xds"},
	"reconciler/web":           {"schema", "schema/load", "render", "render/resource", "reconciler", "reconciler/audit", "reconciler/aws/budget", "reconciler/election", "reconciler/plan", "reconciler/secret", "reconciler/xds"},
	"cmd/edgewright":           {"*"},
}

// impure is what the packages below reconciler must not import: they are values and functions.
var impure = []string{"os", "os/exec", "net", "net/http", "time/tzdata", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "log", "log/slog", "database/sql"}

// source is one package as written, without its tests; files that are not built yet count too.
type source struct {
	imports []string
	comment bool
}

func house(t *testing.T) map[string]source {
	t.Helper()
	root := filepath.Join("..", "..")
	packages := map[string]source{}
	for _, top := range []string{"cmd", "reconciler", "render", "schema", "fixtures"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				return err
			}
			p := packages[filepath.ToSlash(dir)]
			p.imports = append(p.imports, imports(parsed)...)
			p.comment = p.comment || parsed.Doc != nil
			packages[filepath.ToSlash(dir)] = p
			return nil
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return packages
}

func imports(f *ast.File) (paths []string) {
	for _, i := range f.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

func TestImportMap(t *testing.T) {
	packages := house(t)
	if len(packages) < 10 {
		t.Fatalf("only %d packages were found", len(packages))
	}
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		p := packages[name]
		if !p.comment {
			t.Errorf("%s has no package comment", name)
		}
		allowed, listed := layers[name]
		if strings.HasPrefix(name, "fixtures") {
			allowed, listed = []string{"*"}, true
		}
		if !listed {
			t.Errorf("%s is not on the import map", name)
		}
		for _, path := range p.imports {
			inside, ours := strings.CutPrefix(path, module)
			switch {
			case ours && strings.HasPrefix(inside, "fixtures") && !strings.HasPrefix(name, "fixtures") && name != "cmd/edgewright",
				ours && strings.HasPrefix(inside, "cmd/"),
				ours && !slices.Contains(allowed, "*") && !slices.Contains(allowed, inside):
				t.Errorf("%s must not import %s", name, inside)
			case strings.HasPrefix(path, "cuelang.org/") && name != "schema/load" && name != "schema/form" && !strings.HasPrefix(name, "fixtures"):
				t.Errorf("%s imports CUE; only schema/load and schema/form may", name)
			case (strings.HasPrefix(name, "schema") || strings.HasPrefix(name, "render")) && slices.Contains(impure, path):
				t.Errorf("%s is pure and must not import %s", name, path)
			}
		}
	}
}
