//go:build linux && (amd64 || arm64)

package jail

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

const hostileFile = "services/trello/hostile.cue"

// hostile is one attack: a file, or several, and how the problem on it begins. Where the machine or CUE may end it in more than one way,
// each of them is listed.
type hostile struct {
	name  string
	files []load.File
	codes string // separated by spaces
}

// attack is a service whose fields are given, below lines that stand before it.
func attack(name, codes, before, fields string) hostile {
	text := "package services\n\n" + before + "\n\nservices: hostile: {\n\thosts: [\"hostile.trello.acme.example\"]\n\texposure: \"public\"\n\towner: oncall: \"#x\"\n\troutes: [{name: \"all\", respond: status: 200}]\n" + fields + "\n}\n"
	return hostile{name, []load.File{{Path: hostileFile, Data: []byte(text)}}, codes}
}

// whole is a file as it stands.
func whole(name, codes, text string) hostile {
	return hostile{name, []load.File{{Path: hostileFile, Data: []byte(text)}}, codes}
}

const ends = "limit/memory limit/time"

func attacks() []hostile {
	deep := func(open, shut string, n int) string { return strings.Repeat(open, n) + "1" + strings.Repeat(shut, n) }
	disjunctions, sums := "", "_d: {}"
	for i := range 24 {
		disjunctions += fmt.Sprintf("_x%d: {a%d: 1} | {b%d: 2}\n", i, i, i)
		sums += fmt.Sprintf(" & {_x%d}", i)
	}
	doubling := "_s0: \"0123456789abcdef\"\n"
	for i := range 40 {
		doubling += fmt.Sprintf("_s%d: _s%d + _s%d\n", i+1, i, i)
	}
	laughs := "_l0: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("_l%d: [for a in _l%d for b in _l0 {a}]\n", i+1, i)
	}
	aliases := "a0: &a0 [x, x, x, x, x, x, x, x, x]\\n"
	for i := range 10 {
		aliases += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\\n", i+1, i+1, i, i, i, i, i, i, i, i, i)
	}
	all := []hostile{
		attack("memory: a string that is multiplied", ends, "_a: \"xxxxxxxxxxxxxxxx\" * 1000000\n_b: _a * 1000", "tier: _b"),
		attack("memory: a string that doubles", ends, doubling, "tier: _s40"),
		attack("memory: strings.Repeat", ends+" cue/evaluate", "import \"strings\"\n_s: strings.Repeat(\"abcdefgh\", 1000000000)", "tier: _s"),
		attack("memory: list.Range", ends, "import \"list\"\n_l: list.Range(0, 1000000000, 1)", "tier: \"\\(_l[999])\""),
		attack("memory: list.Repeat", ends+" cue/evaluate", "import \"list\"\n_l: list.Repeat([1, 2, 3], 300000000)", "tier: \"\\(_l[5])\""),
		attack("memory: a struct of a billion fields", ends, "import \"list\"\n_m: {for i in list.Range(0, 1000000000, 1) {\"f\\(i)\": i}}", "tier: _m.f1"),
		attack("memory: comprehensions that laugh", ends, laughs, "tier: \"\\(_l12[0])\""),
		attack("memory: aliases in YAML", ends+" cue/evaluate", "import \"encoding/yaml\"\n_y: yaml.Unmarshal(\""+aliases+"\")", "tier: \"\\(_y.a10[0])\""),
		attack("memory: a number of a billion digits", ends+" cue/evaluate cue/syntax field/value", "_n: 1e1000000000 + 1", "tier: \"\\(_n)\""),
		attack("memory: 2 to the power of 2 to the power of 40", ends+" cue/evaluate", "import \"math\"\n_n: math.Pow(2, math.Pow(2, 40))", "tier: \"\\(_n)\""),
		attack("memory: 24 disjunctions of two", ends+" field/incomplete", disjunctions+sums, "tier: \"\\(_d)\""),
		attack("time: comprehensions in comprehensions", ends, "_r: ["+strings.Repeat("1, ", 200)+"]\n_l: [for a in _r for b in _r for c in _r for d in _r for e in _r if a+b+c+d+e < 0 {a}]", "tier: \"\\(len(_l))\""),
		attack("time: a list sorted by what is never less", ends, "import \"list\"\n_l: list.Sort(list.Range(0, 3000000, 1), {x: _, y: _, less: x > y})", "tier: \"\\(_l[0])\""),
		attack("time: patterns upon patterns", ends+" field/unknown", "import \"list\"\n_p: {for i in list.Range(0, 3000, 1) {[=~\"^f[0-9]*$\"]: int}}\n_p: {for i in list.Range(0, 3000, 1) {\"f\\(i)\": 1}}", "tier: \"\\(_p.f1)\""),
		attack("a cycle of values", "cue/evaluate field/incomplete", "_a: _b\n_b: _a", "tier: _a"),
		attack("a cycle of structures", "cue/evaluate", "_a: {b: _a}", "tier: _a"),
		attack("a cycle of sums", "cue/evaluate field/incomplete", "_a: _b + 1\n_b: _a + 1", "tier: _a"),
		attack("embedding a file", "file/attribute", "@extern(embed)\n_f: _ @embed(file=\"/etc/passwd\", type=text)", "tier: _f"),
		attack("embedding through a symlink", "file/attribute", "@extern(embed)\n_f: _ @embed(file=\"link\", type=text)", "tier: _f"),
		attack("who runs this", "file/attribute", "_u: string @tag(user, var=username)", "tier: _u"),
		attack("a file that is built on some machines only", "file/attribute", "", "tier: \"x\" @if(linux)"),
		attack("running a program", "cue/import cue/evaluate field/incomplete field/type", "import \"tool/exec\"\n_e: exec.Run & {cmd: \"id\"}", "tier: _e.stdout"),
		attack("reading a file", "cue/import cue/evaluate field/incomplete", "import \"tool/file\"\n_e: file.Read & {filename: \"/etc/passwd\", contents: string}", "tier: _e.contents"),
		attack("asking a server", "cue/import cue/evaluate field/incomplete", "import \"tool/http\"\n_e: http.Get & {url: \"http://127.0.0.1/\"}", "tier: _e.response.body"),
		attack("the environment", "cue/import cue/evaluate field/incomplete", "import \"tool/os\"\n_e: os.Environ", "tier: _e.HOME"),
		attack("a module from a registry", "cue/import", "import \"registry.example/evil/x@v1\"\n_e: x.y", "tier: _e"),
		attack("a package above this repository", "cue/import", "import \"acme.example/edge-config/../../etc\"\n_e: etc.y", "tier: _e"),
		attack("a template", ends+" cue/evaluate cue/import", "import \"text/template\"\n_t: template.Execute(\"{{range .}}{{range $}}{{range $}}{{range $}}{{range $}}x{{end}}{{end}}{{end}}{{end}}{{end}}\", _l)\n_l: ["+strings.Repeat("1, ", 200)+"]", "tier: _t"),
		attack("an expression that would backtrack", "field/value", "import \"regexp\"\n_r: regexp.Match(\"^(a+)+$\", \""+strings.Repeat("a", 5000)+"b\")", "tier: \"\\(_r) \""),
		attack("an expression of a user that is huge", "route/regex cue/evaluate limit/memory limit/time", "", "routes: [{name: \"all\", match: path: regex: \"((((((((((a{1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100}){1,100})\", respond: status: 200}]"),
		attack("an output of a hundred thousand routes", ends+" limit/output field/conflict", "import \"list\"", "waivers: [for i in list.Range(0, 100000, 1) {rule: \"backend/health\", reason: \"\\(i)\", expires: \"2026-01-01\", approver: \"a\"}]"),
		attack("a hundred thousand problems", "field/conflict cue/evaluate", "", strings.Repeat("hosts: [", 1)+strings.Repeat("1, ", 20000)+"]"),
		whole("braces in braces", "limit/nesting", "package services\nservices: hostile: "+deep("{a: ", "}", 5000)),
		whole("brackets in brackets", "limit/nesting", "package services\nservices: hostile: "+deep("[", "]", 5000)),
		whole("parentheses in parentheses", "limit/nesting", "package services\nservices: hostile: "+deep("(", ")", 5000)),
		whole("a chain of a thousand fields", "limit/nesting", "package services\nservices: hostile: "+strings.Repeat("a: ", 1000)+"1"),
		whole("a chain of a thousand signs", "limit/nesting cue/syntax service/place field/type", "package services\nservices: hostile: "+strings.Repeat("!", 60000)+"true"),
		whole("a line of 250 KiB", "field/unknown field/missing", "package services\nservices: hostile: {x: \""+strings.Repeat("y", 250<<10)+"\"}"),
		whole("a name of 200 KiB", "field/unknown field/missing", "package services\nservices: hostile: {\""+strings.Repeat("n", 200<<10)+"\": 1}"),
		whole("a file of 2 MiB", "limit/input", "package services\nservices: hostile: {x: \""+strings.Repeat("y", 2<<20)+"\"}"),
		whole("zeros", "cue/syntax file/encoding", "package services\nservices: hostile: {\x00\x00}"),
		whole("no text at all", "file/encoding", "package services\n\xff\xfe\xfd"),
		whole("a mark of byte order within", "cue/syntax service/place", "package services\nservices: \ufeffhostile: {}"),
		whole("a terminal that is steered", "field/unknown field/missing", "package services\nservices: hostile: {\"\x1b[2J\x1b]0;owned\x07\": \"\x1b[31m\"}"),
		whole("text that runs backwards", "field/unknown field/missing", "package services\nservices: hostile: {\"\u202egnp.exe\": 1}"),
		whole("nothing", "file/package", ""),
	}
	bomb := "package services\nimport \"list\"\n#Bomb: [for i in list.Range(0, 100000000, 1) {i}]\n"
	all = append(all, hostile{"a bomb in a shared file", append(attack("", "", "", "tier: \"\\(len(#Bomb))\"").files, load.File{Path: "services/trello/shared.cue", Data: []byte(bomb)}), ends})
	all = append(all, hostile{"a bomb in a package", append(attack("", "", "import \"acme.example/edge-config/lib/bomb\"", "tier: \"\\(len(bomb.all))\"").files,
		load.File{Path: "lib/bomb/bomb.cue", Data: []byte("package bomb\nimport \"list\"\nall: [for i in list.Range(0, 100000000, 1) {i}]\n")}), ends})
	all = append(all, hostile{"a package that imports itself", append(attack("", "", "import \"acme.example/edge-config/lib/loop\"", "tier: loop.x").files,
		load.File{Path: "lib/loop/loop.cue", Data: []byte("package loop\nimport \"acme.example/edge-config/lib/loop\"\nx: loop.x\n")}), "cue/import cue/evaluate"})
	all = append(all, hostile{"a symlink", []load.File{{Path: hostileFile, Unfit: "it is a symlink"}}, "file/unfit"})
	all = append(all, hostile{"a file of tools", []load.File{{Path: "services/trello/hostile_tool.cue", Data: []byte("package services\n\nimport \"tool/exec\"\n\ncommand: x: exec.Run & {cmd: \"id\"}\n")}}, "service/id service/place"})
	return all
}

// TestHostileFiles holds that each attack ends as a clear problem on its file, within the limits of production, and is not felt by the
// other services. A file beside it, which needs the child too, gets its answer each time.
func TestHostileFiles(t *testing.T) {
	base := fixtures.Declarations(fixtures.EdgeConfig())
	e := start(t, Limits{})
	e.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	if n := len(attacks()); n < 45 {
		t.Fatalf("%d attacks, want at least 45", n)
	}
	for _, a := range attacks() {
		t.Run(a.name, func(t *testing.T) {
			began := time.Now()
			commit, err := (&load.Loader{Evaluator: e}).Load(t.Context(), append(slices.Clone(base), a.files...))
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			own := slices.DeleteFunc(slices.Clone(commit.Problems), func(p schema.Problem) bool { return p.Unused })
			if len(own) == 0 {
				t.Fatalf("it did nothing: %v", commit.Problems)
			}
			if len(own) > 21 {
				t.Errorf("%d problems flood their reader", len(own))
			}
			for _, p := range own {
				examine(t, p, a)
			}
			if got := len(commit.Edge.Services); got < 12 {
				t.Errorf("%d of 12 other services were read", got)
			}
			if limit := 3 * (2*time.Second + time.Second); took > limit { // the file, perhaps a library, and a second try in a fresh child
				t.Errorf("it took %v", took)
			}
		})
	}
}

// examine demands that a problem is on the attack's file, of a code that is expected, and safe to show.
func examine(t *testing.T, p schema.Problem, a hostile) {
	t.Helper()
	if !p.Concerns("hostile") && !p.Concerns("hostile_tool") || !slices.Contains(strings.Fields(a.codes), string(p.Code)) {
		t.Errorf("unexpected: %.300s (holds %q), want one of %s", p, p.Holds, a.codes)
	}
	if p.Position.Line == 0 || p.Message == "" {
		t.Errorf("it has no place or no message: %+v", p)
	}
	for _, text := range []string{p.Message, p.Hint, p.Line, p.Path, p.Position.File} {
		if len(text) > 4000 || strings.ContainsFunc(text, func(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }) {
			t.Errorf("it cannot be shown: %.200q of %d bytes", text, len(text))
		}
	}
}

// TestManyFiles holds that a hundred thousand small files are loaded, or refused, in bounded time and memory.
func TestManyFiles(t *testing.T) {
	files := fixtures.Declarations(fixtures.EdgeConfig())
	for i := range 100_000 {
		files = append(files, load.File{Path: fmt.Sprintf("services/trello/s%d.cue", i), Data: []byte("package services\n"), Hash: "same"})
	}
	began := time.Now()
	commit, err := (&load.Loader{Evaluator: start(t, Limits{})}).Load(t.Context(), files)
	if err != nil || len(commit.Edge.Services) != 12 || len(commit.Problems) != 100_000 {
		t.Fatalf("%d services, %d problems, %v", len(commit.Edge.Services), len(commit.Problems), err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestMemoryOfAChild holds that the kernel gives a child no more than its limit, whatever its file asks for.
func TestMemoryOfAChild(t *testing.T) {
	e := start(t, Limits{})
	bomb := attack("", "", "_a: \"xxxxxxxxxxxxxxxx\" * 1000000\n_b: _a * 1000", "tier: _b").files[0]
	most, done := int64(0), make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
				most = max(most, residentChildren())
			}
		}
	}()
	results, err := e.Evaluate(t.Context(), []load.Unit{one(bomb)})
	close(done)
	<-watched
	if err != nil || len(results[0].Problems) != 1 {
		t.Fatal(results, err)
	}
	if limit := int64(512+64) * mebibyte; most > limit || most == 0 {
		t.Errorf("a child had %d MiB, of at most %d", most/mebibyte, limit/mebibyte)
	}
}

// residentChildren is the memory of the largest child of this process, in bytes.
func residentChildren() int64 {
	var most int64
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		children, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		for _, pid := range strings.Fields(string(children)) {
			var total, pages int64
			statm, _ := os.ReadFile("/proc/" + pid + "/statm")
			if _, err := fmt.Sscan(string(statm), &total, &pages); err == nil {
				most = max(most, pages*int64(os.Getpagesize()))
			}
		}
	}
	return most
}
