package corpus_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/cuecontext"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/corpus"
	"github.com/edgewright/edgewright/schema/form"
	"github.com/edgewright/edgewright/schema/load"
)

func files(name string) []load.File {
	folder := corpus.Folders()[name]
	var out []load.File
	for _, path := range slices.Sorted(maps.Keys(folder)) {
		out = append(out, load.File{Path: path, Data: folder[path]})
	}
	return out
}

// TestOldFilesFit holds that what was taken once has the form of today's schema. The rules over declarations may have become stricter.
func TestOldFilesFit(t *testing.T) {
	today, err := form.Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	for name := range corpus.Folders() {
		for _, p := range load.Misfits(files(name), today) {
			t.Errorf("%s/%s", name, p)
		}
	}
}

// TestEvery holds that the folder every obeys all rules, and uses every field of the schema.
func TestEvery(t *testing.T) {
	loader := load.Loader{Evaluator: &load.Trusted{}, Today: func() schema.Date { return schema.DateOf(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)) }}
	commit, err := loader.Load(t.Context(), files("every"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range commit.Problems {
		t.Error(p)
	}
	today, err := form.Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, f := range files("every") {
		v := cuecontext.New().CompileBytes(f.Data)
		if services := v.LookupPath(cue.ParsePath("services")); services.Exists() {
			for fields, err := services.Fields(); err == nil && fields.Next(); {
				use(used, "Service", today.Of("Service"), fields.Value())
			}
		} else {
			use(used, "Platform", today.Of("Platform"), v)
		}
	}
	for _, name := range today.Names() {
		for _, field := range fieldsOf(name, today.Of(name)) {
			if !used[field] {
				t.Errorf("no file uses %s: add it to schema/corpus/every", field)
			}
		}
	}
}

// fieldsOf are the fields of a definition, with those of the groups in it that have no name.
func fieldsOf(name string, f *form.Form) []string {
	var out []string
	for _, field := range f.Order {
		out = append(out, name+"."+field)
		if in := f.Fields[field].Form; in.Kind == form.Group && in.Name == "" {
			out = append(out, fieldsOf(name+"."+field, in)...)
		}
	}
	return out
}

// use notes the fields that a value has, by the definition that they are of.
func use(used map[string]bool, name string, f *form.Form, v cue.Value) {
	if f.Name != "" {
		name = f.Name
	}
	switch f.Kind {
	case form.Group:
		for fields, err := v.Fields(); err == nil && fields.Next(); {
			label := strings.Trim(fields.Selector().String(), `"`)
			if field := f.Fields[label]; field != nil {
				used[name+"."+label] = true
				use(used, name+"."+label, field.Form, fields.Value())
			} else if f.Values != nil {
				use(used, name, f.Values, fields.Value())
			}
		}
	case form.List:
		for items, err := v.List(); err == nil && items.Next(); {
			use(used, name, f.Items, items.Value())
		}
	}
}
