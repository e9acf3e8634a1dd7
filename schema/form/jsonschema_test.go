package form_test

import (
	"encoding/json"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/encoding/jsonschema"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/form"
)

// TestJSONSchema holds that editors which know the schema by JSON Schema mark what has not its form, and nothing else.
func TestJSONSchema(t *testing.T) {
	ctx := cuecontext.New()
	judge := judgeOf(t, ctx)
	fits := func(data []byte) (bool, string) {
		services := ctx.CompileBytes(data).LookupPath(cue.ParsePath("services"))
		fields, err := services.Fields()
		if err != nil || !fields.Next() {
			return false, "it declares nothing"
		}
		plain, err := fields.Value().MarshalJSON()
		if err != nil {
			return false, err.Error()
		}
		if err := judge.Unify(ctx.CompileBytes(plain)).Validate(cue.Concrete(true)); err != nil {
			return false, err.Error()
		}
		return true, ""
	}
	good := 0
	for _, f := range fixtures.EdgeConfig() {
		if literal := !strings.Contains(string(f.Data), "#Checked") && !strings.Contains(string(f.Data), "import"); strings.HasPrefix(f.Path, "services/") && literal {
			if ok, why := fits(f.Data); !ok {
				t.Errorf("%s: %s", f.Path, why)
			}
			good++
		}
	}
	names, err := filepath.Glob("../load/testdata/bad/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	told, bad := regexp.MustCompile(`^(services/\S+?):\d+:\d+: .*\[field/(unknown|missing|type|value|name)\]\n`), 0
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := told.FindStringSubmatch(string(archive.Files[len(archive.Files)-1].Data))
		for _, f := range archive.Files {
			if found == nil || f.Name != found[1] || regexp.MustCompile(`import|\bfor\b|_\w+:|#\w+`).Match(regexp.MustCompile(`"[^"]*"`).ReplaceAll(f.Data, nil)) {
				continue
			}
			if ok, _ := fits(f.Data); ok {
				t.Errorf("%s: %s fits", name, f.Name)
			}
			bad++
		}
	}
	if good < 8 || bad < 18 {
		t.Errorf("only %d good and %d bad declarations were judged", good, bad)
	}
}

// judgeOf reads the JSON Schema with a reader of somebody else.
func judgeOf(t *testing.T, ctx *cue.Context) cue.Value {
	t.Helper()
	forms, err := form.Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(forms.JSONSchema(forms.Of("Service")))
	if err != nil {
		t.Fatal(err)
	}
	file, err := jsonschema.Extract(ctx.CompileBytes(data), &jsonschema.Config{})
	if err != nil {
		t.Fatal(err)
	}
	judge := ctx.BuildFile(file)
	if err := judge.Err(); err != nil {
		t.Fatal(err)
	}
	return judge
}
