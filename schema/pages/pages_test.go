package pages_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
	"github.com/edgewright/edgewright/schema/pages"
	"github.com/edgewright/edgewright/schema/policy"
)

// TestEveryCodeHasAPage holds the pages to what is told in the source, both ways.
func TestEveryCodeHasAPage(t *testing.T) {
	told := codes(t)
	if len(told) < 80 {
		t.Fatalf("only %d codes were found: the search is broken", len(told))
	}
	var explained []schema.Code
	for _, p := range pages.All() {
		explained = append(explained, p.Code)
		if p.Title == "" || !strings.HasSuffix(p.Title, ".") || len(p.Bad) == 0 || len(p.Good) == 0 {
			t.Errorf("%s has no title, or no example of bad and good", p.Code)
		}
		if !told[p.Code] {
			t.Errorf("%s is explained, but nothing tells it", p.Code)
		}
	}
	for code := range told {
		if !slices.Contains(explained, code) {
			t.Errorf("%s has no page", code)
		}
	}
	for _, code := range append(policy.Waivable, policy.Opened) {
		if !slices.Contains(explained, code) {
			t.Errorf("%s can be waived, but has no page", code)
		}
	}
}

// codes are the words in the source that look like codes of problems.
func codes(t *testing.T) map[schema.Code]bool {
	told := map[schema.Code]bool{}
	families := regexp.MustCompile(`^(field|file|cue|service|owner|host|fleet|backend|route|redirect|header|budget|waiver|platform|record|team|zone|limit|exposure|schema|healthcheck|envoy)/[a-z]+$`)
	for _, root := range []string{"..", "../../reconciler"} {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if _, imports := n.(*ast.ImportSpec); imports {
					return false
				}
				if lit, is := n.(*ast.BasicLit); is && lit.Kind == token.STRING {
					if text, err := strconv.Unquote(lit.Value); err == nil && families.MatchString(text) {
						told[schema.Code(text)] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return told
}

// elsewhere are the codes whose examples cannot be run from a page, with where they are provoked.
var elsewhere = map[schema.Code]string{
	"exposure/opened": "schema/policy TestChange",
	"host/removed":    "schema/policy TestChange",
	"file/encoding":   "testdata/bad",
	"file/unfit":      "reconciler/source",
	"fleet/policies":  "testdata/bad",
	"host/length":     "testdata/bad",
	"limit/commit":    "reconciler/jail",
	"limit/crash":     "reconciler/jail",
	"limit/input":     "reconciler/jail",
	"limit/memory":    "reconciler/jail",
	"limit/nesting":   "testdata/bad",
	"limit/output":    "reconciler/jail",
	"limit/problems":  "testdata/bad",
	"limit/time":      "reconciler/jail",
	"platform/none":   "testdata/bad",
	"platform/render": "reconciler TestPlans",
	"route/respond":   "schema/policy TestBounds",
	"schema/decode":   "schema/load TestDecodeTellsItsOwnFault",
	"service/render":  "reconciler TestWhatCannotBeRenderedIsHeld",

	"envoy/refused":     "reconciler/validate TestEnvoyRefuses",
	"envoy/again":       "reconciler TestRefusedContentIsToldOnTheNextPull",
	"envoy/unvalidated": "reconciler/validate TestEnvoyThatHangs",
}

// TestExamples holds that a bad example makes its problem, and the good one beside it none.
func TestExamples(t *testing.T) {
	for _, p := range pages.All() {
		t.Run(string(p.Code), func(t *testing.T) {
			runnable := p.Bad[0].Runnable
			if why := elsewhere[p.Code]; runnable == (why != "") {
				t.Fatalf("its example runs: %v, but it is provoked elsewhere: %q", runnable, why)
			}
			if !runnable {
				return
			}
			bad := loaded(t, p.Bad)
			all := append(bad.Problems, bad.Warnings...)
			if !slices.ContainsFunc(all, func(q schema.Problem) bool { return q.Code == p.Code }) {
				t.Errorf("the bad example makes %v", all)
			}
			good := loaded(t, p.Good)
			for _, q := range append(good.Problems, good.Warnings...) {
				t.Errorf("the good example makes %s", schema.Format(q))
			}
		})
	}
}

func loaded(t *testing.T, examples []pages.Example) load.Commit {
	t.Helper()
	files := fixtures.Declarations(fixtures.EdgeConfig())
	for _, e := range examples {
		files = fixtures.Over(files, fixtures.Example(e.File, e.Text))
	}
	l := &load.Loader{Evaluator: &load.Trusted{}, Today: func() schema.Date { return schema.Date{Year: 2026, Month: 3, Day: 1} }}
	commit, err := l.Load(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// TestPagesAreWhole holds that nothing of the files is lost when they are read.
func TestPagesAreWhole(t *testing.T) {
	names, err := filepath.Glob("*.md")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	fences := 0
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fences += strings.Count(string(data), "\n```cue\n") + strings.Count(string(data), "\n```text\n")
	}
	for _, p := range pages.All() {
		fences -= len(p.Bad) + len(p.Good)
	}
	if fences != 0 {
		t.Errorf("%d examples are not read", fences)
	}
}
