package plan

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgewright/edgewright/render/resource"
)

func TestFields(t *testing.T) {
	for _, c := range []struct {
		name, before, after string
		want                []string
	}{
		{"equal", `{"a":[1,{"b":null}]}`, `{"a":[1,{"b":null}]}`, nil},
		{"both absent", ``, ``, nil},
		{"weight", `{"routes":[{"name":"api","forward":{"to":[{"backend":"web","weight":90},{"backend":"old","weight":10}]}}]}`,
			`{"routes":[{"name":"api","forward":{"to":[{"backend":"old","weight":20},{"backend":"web","weight":80}]}}]}`,
			[]string{"routes[api].forward.to[old].weight: 10 → 20", "routes[api].forward.to[web].weight: 90 → 80"}},
		{"created", ``, `{"hosts":["a","b"],"n":{"x":1}}`, []string{`hosts: + "a"`, `hosts: + "b"`, `n.x: + 1`}},
		{"deleted", `{"hosts":["a"]}`, ``, []string{`hosts: - "a"`}},
		{"host added and removed", `{"hosts":["a","b"]}`, `{"hosts":["b","c"]}`, []string{`hosts: - "a"`, `hosts: + "c"`}},
		{"order of scalars", `{"on":["a","b"]}`, `{"on":["b","a"]}`, []string{`on: ["a","b"] → ["b","a"]`}},
		{"repeated scalars", `["a","a"]`, `["a"]`, []string{`: - "a"`}},
		{"route inserted first", `[{"name":"b","x":1}]`, `[{"name":"a","x":2},{"name":"b","x":1}]`, []string{` order: ["b"] → ["a","b"]`, `[a].x: + 2`}},
		{"route appended", `[{"name":"b","x":1}]`, `[{"name":"b","x":1},{"name":"c","x":2}]`, []string{`[c].x: + 2`}},
		{"route removed", `[{"name":"a","x":1},{"name":"b","x":1}]`, `[{"name":"b","x":1}]`, []string{`[a].x: - 1`}},
		{"routes swapped", `[{"name":"a"},{"name":"b"}]`, `[{"name":"b"},{"name":"a"}]`, []string{` order: ["a","b"] → ["b","a"]`}},
		{"listeners in another order", `[{"exposure":"a"},{"exposure":"b"}]`, `[{"exposure":"b"},{"exposure":"a"}]`, nil},
		{"element of nothing but its key", `{"l":[{"id":"a"}]}`, `{"l":[{"id":"a"},{"id":"b"}]}`, []string{`l[b]: + {}`}},
		{"objects without a key", `[{"x":1}]`, `[{"x":2},{"x":3}]`, []string{`[0].x: 1 → 2`, `[1].x: + 3`}},
		{"key twice", `[{"id":"a","x":1},{"id":"a","x":2}]`, `[{"id":"a","x":1}]`, []string{`[1].id: - "a"`, `[1].x: - 2`}},
		{"null is not absent", `{"a":null}`, `{}`, []string{`a: - null`}},
		{"emptied", `{"a":["x"]}`, `{"a":[]}`, []string{`a: - "x"`}},
		{"emptied object", `{"a":{"x":1}}`, `{"a":{}}`, []string{`a.x: - 1`}},
		{"empty made", `{}`, `{"a":{},"l":[]}`, []string{`a: + {}`, `l: + []`}},
		{"another shape", `{"a":{"x":1}}`, `{"a":[1]}`, []string{`a: {"x":1} → [1]`}},
		{"large numbers", `{"n":12345678901234567890}`, `{"n":12345678901234567891}`, []string{"n: 12345678901234567890 → 12345678901234567891"}},
		{"odd keys", `{}`, `{"a.b\n":{"c d":"<&>"}}`, []string{`"a.b\n"."c d": + "<&>"`}},
		{"no JSON", `{`, `{}`, []string{`: "{" → {}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Fields(resource.Value(c.before), resource.Value(c.after))
			var shown []string
			for _, f := range got {
				shown = append(shown, f.String())
			}
			if diff := cmp.Diff(c.want, shown); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFieldsLeaveTheContentHashOut(t *testing.T) {
	step := func(kind resource.Kind, before, after string) Step {
		return Step{Key: resource.Key{Kind: kind}, Verb: Update, Before: json.RawMessage(before), After: json.RawMessage(after)}
	}
	for _, c := range []struct {
		name string
		step Step
		want []FieldChange
	}{
		{"beside others", step(resource.EnvoyService, `{"content":"a","x":1}`, `{"content":"b","x":2}`), []FieldChange{{"x", "1", "2"}}},
		{"alone", step(resource.EnvoyService, `{"content":"a"}`, `{"content":"b"}`), []FieldChange{{ContentOnly, `"a"`, `"b"`}}},
		{"of another kind", step(resource.DNSRecord, `{"content":"a","x":1}`, `{"content":"b","x":1}`), []FieldChange{{"content", `"a"`, `"b"`}}},
		{"nothing", step(resource.EnvoyService, `{}`, `{}`), nil},
	} {
		if diff := cmp.Diff(c.want, c.step.Fields()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// FuzzFields: equal values have no change, different ones have some unless only the order of keyed lists differs.
func FuzzFields(f *testing.F) {
	f.Add(`{"a":1}`, `{"a":2}`)
	f.Add(`[{"id":"a"}]`, `[{"id":"b"}]`)
	f.Add(`[[1],{"name":"x"}]`, `null`)
	f.Fuzz(func(t *testing.T, before, after string) {
		if changes := Fields(resource.Value(before), resource.Value(before)); changes != nil {
			t.Fatalf("a value differs from itself: %v", changes)
		}
		one, two := Fields(resource.Value(before), resource.Value(after)), Fields(resource.Value(before), resource.Value(after))
		if !cmp.Equal(one, two) {
			t.Fatal("not stable")
		}
		for _, c := range one {
			if c.Before == c.After {
				t.Fatalf("no change: %v", c)
			}
		}
	})
}
