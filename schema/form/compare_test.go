package form

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/schema"
)

func TestCompare(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"nothing", "{a?: int}", "{a?: int}", ""},
		{"words only", "{a?: int}", "{\n// a counts.\na?: int\n}", ""},
		{"new field", "{}", "{a?: int}", "compatible X.a: it is new"},
		{"new field that must be there", "{}", "{a!: int}", "breaks X.a: it is new and must be there"},
		{"field gone", "{a?: int}", "{}", "breaks X.a: it is gone"},
		{"field must be there", "{a?: int}", "{a!: int}", "breaks X.a: it must be there now"},
		{"field may be left out", "{a!: int}", "{a?: int}", "compatible X.a: it may be left out now"},
		{"another kind", "{a?: int}", "{a?: string}", "breaks X.a: it was a number and is text in quotes"},
		{"anything", "{a?: int}", "{a?: _}", "compatible X.a: it was a number and is anything"},
		{"lower bound up", "{a?: int & >=1}", "{a?: int & >=2}", "breaks X.a: it must be at least 2 now"},
		{"lower bound down", "{a?: int & >=2}", "{a?: int & >=1}", "compatible X.a: it must be only at least 1 now"},
		{"upper bound", "{a?: int}", "{a?: int & <=9}", "breaks X.a: it must be at most 9 now"},
		{"no bound", "{a?: int & <=9}", "{a?: int}", "compatible X.a: it need not be at most 9 any more"},
		{"whole", "{a?: number}", "{a?: int}", "breaks X.a: it must be a whole number now"},
		{"fewer choices", `{a?: =~"^(a|b)$"}`, `{a?: =~"^(a|c)$"}`, "breaks X.a: b is not taken any more\ncompatible X.a: c is taken now"},
		{"fewer numbers", `{a?: 1 | 2}`, `{a?: 1}`, "breaks X.a: 2 is not taken any more"},
		{"another pattern", `{a?: =~"^a+$"}`, `{a?: =~"^b+$"}`, "breaks X.a: text must match ^b+$ and not ^a+$, so some may not fit any more"},
		{"a pattern", `{a?: string}`, `{a?: =~"^b+$"}`, "breaks X.a: text must match ^b+$ now"},
		{"any text", `{a?: =~"^b+$"}`, `{a?: string}`, "compatible X.a: any text is taken now"},
		{"in a list", "{a?: [...{b?: int}]}", "{a?: [...{}]}", "breaks X.a[].b: it is gone"},
		{"by name", "{a?: [=~\"^a$\"]: {b?: int}}", "{a?: [=~\"^a$\"]: {b!: int}}", "breaks X.a.*.b: it must be there now"},
		{"names not taken", "{a?: [=~\"^a$\"]: int}", "{a?: {}}", "breaks X.a: names of one's own are not taken any more"},
		{"a definition that refers to itself", "{a?: #X}", "{a?: #X, b?: int}", "compatible X.b: it is new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, change := range Compare(read(t, "#X: "+c.old), read(t, "#X: "+c.new), "X") {
				word := "compatible"
				if change.Breaks {
					word = "breaks"
				}
				got = append(got, fmt.Sprintf("%s %s: %s", word, change.Path, change.What))
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "\n")); diff != "" {
				t.Errorf("changes differ (-want +got):\n%s", diff)
			}
		})
	}
}

func read(t *testing.T, text string) Schema {
	t.Helper()
	s, err := Read(map[string][]byte{"x.cue": []byte("package v1\n\n" + text + "\n")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNothingChangesInOneSchema(t *testing.T) {
	s, err := Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	if changes := Compare(s, s, s.Names()...); len(changes) > 0 {
		t.Error(changes)
	}
}
