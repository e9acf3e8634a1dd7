package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/resource"
)

// FieldChange is one field that differs. Before and After are JSON on one line; empty means absent.
type FieldChange struct {
	Path   string `json:"path"` // as an author says it: routes[api].forward.to[web].weight
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// String is path: before → after, or only what there is.
func (c FieldChange) String() string {
	switch {
	case c.Before == "":
		return c.Path + ": + " + c.After
	case c.After == "":
		return c.Path + ": - " + c.Before
	}
	return c.Path + ": " + c.Before + " → " + c.After
}

// ContentOnly is the path of the only change of a service whose declaration is the same but renders to something else.
const ContentOnly = "rendered content"

// Fields are the fields in which a step's after differs from its before. The content hash of a service is left out where its
// declaration says more, and so are name, type and set of a record, which its key says.
func (s Step) Fields() []FieldChange {
	changes := Fields(s.Before, s.After)
	switch s.Key.Kind {
	case resource.DNSRecord:
		return slices.DeleteFunc(changes, func(c FieldChange) bool { return slices.Contains([]string{"name", "type", "set"}, c.Path) })
	case resource.EnvoyService:
	default:
		return changes
	}
	isContent := func(c FieldChange) bool { return c.Path == "content" }
	shown := slices.DeleteFunc(slices.Clone(changes), isContent)
	if len(shown) > 0 || len(changes) == 0 {
		return shown
	}
	c := changes[0]
	return []FieldChange{{Path: ContentOnly, Before: c.Before, After: c.After}}
}

// Fields compares two values leaf by leaf, sorted by path, what goes before what comes. Lists of objects are compared by the key that all of them have (name,
// id, backend or exposure), lists of scalars as sets; where nothing but the order differs, the whole order is the change.
func Fields(before, after resource.Value) []FieldChange {
	var d fieldDiff
	d.compare("", decode(before), decode(after))
	slices.SortStableFunc(d.changes, func(a, b FieldChange) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(len(b.Before), 0)-cmp.Compare(len(a.Before), 0), cmp.Compare(a.Before, b.Before), cmp.Compare(a.After, b.After))
	})
	return d.changes
}

// missing stands for a value that is not there, which null is not.
type missing struct{}

func decode(v resource.Value) any {
	if len(v) == 0 {
		return missing{}
	}
	decoder := json.NewDecoder(bytes.NewReader(v))
	decoder.UseNumber()
	var out any
	if err := decoder.Decode(&out); err != nil {
		return string(v)
	}
	return out
}

type fieldDiff struct{ changes []FieldChange }

func (d *fieldDiff) compare(path string, before, after any) {
	if isObject(before, after) {
		d.objects(path, asObject(before), asObject(after))
		return
	}
	if isList(before, after) {
		d.lists(path, asList(before), asList(after))
		return
	}
	b, a := encode(before), encode(after)
	if b != a {
		d.changes = append(d.changes, FieldChange{Path: path, Before: b, After: a})
	}
}

// isObject tells whether both are objects, or one is, with something in it, and the other is missing.
func isObject(before, after any) bool {
	return likewise(before, after, func(v any) (int, bool) { o, is := v.(map[string]any); return len(o), is })
}

func isList(before, after any) bool {
	return likewise(before, after, func(v any) (int, bool) { l, is := v.([]any); return len(l), is })
}

func likewise(a, b any, size func(any) (int, bool)) bool {
	na, isA := size(a)
	nb, isB := size(b)
	_, noA := a.(missing)
	_, noB := b.(missing)
	return isA && isB || isA && na > 0 && noB || isB && nb > 0 && noA
}

func asObject(v any) map[string]any { o, _ := v.(map[string]any); return o }
func asList(v any) []any            { l, _ := v.([]any); return l }

func (d *fieldDiff) objects(path string, before, after map[string]any) {
	keys := slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
	slices.Sort(keys)
	for _, key := range slices.Compact(keys) {
		d.compare(join(path, key), get(before, key), get(after, key))
	}
}

func get(o map[string]any, key string) any {
	if v, ok := o[key]; ok {
		return v
	}
	return missing{}
}

func (d *fieldDiff) lists(path string, before, after []any) {
	if key, ok := listKey(before, after); ok {
		d.keyed(path, key, before, after)
		return
	}
	if slices.ContainsFunc(slices.Concat(before, after), func(v any) bool { return !isScalar(v) }) {
		for i := range max(len(before), len(after)) {
			d.compare(fmt.Sprintf("%s[%d]", path, i), at(before, i), at(after, i))
		}
		return
	}
	d.scalars(path, before, after)
}

func at(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return missing{}
}

func isScalar(v any) bool {
	switch v.(type) {
	case map[string]any, []any:
		return false
	}
	return true
}

// scalars tells what was removed and what was added, or the order when only that differs.
func (d *fieldDiff) scalars(path string, before, after []any) {
	was, is := encodeAll(before), encodeAll(after)
	gone, added := without(was, is), without(is, was)
	for _, v := range gone {
		d.changes = append(d.changes, FieldChange{Path: path, Before: v})
	}
	for _, v := range added {
		d.changes = append(d.changes, FieldChange{Path: path, After: v})
	}
	if len(gone)+len(added) == 0 && !slices.Equal(was, is) {
		d.changes = append(d.changes, FieldChange{Path: path, Before: encode(before), After: encode(after)})
	}
}

// without is the multiset difference, in the order of list.
func without(list, other []string) []string {
	count := map[string]int{}
	for _, v := range other {
		count[v]++
	}
	var out []string
	for _, v := range list {
		if count[v]--; count[v] < 0 {
			out = append(out, v)
		}
	}
	return out
}

// keyed compares objects that have the same key. The order counts where the key is a name, as of routes: they are tried in turn.
func (d *fieldDiff) keyed(path, key string, before, after []any) {
	was, is := byKey(before, key), byKey(after, key)
	names := slices.Concat(slices.Collect(maps.Keys(was)), slices.Collect(maps.Keys(is)))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		old, had := was[name]
		next, has := is[name]
		d.compare(path+"["+word(name)+"]", orMissing(withoutKey(old, key), had), orMissing(withoutKey(next, key), has))
	}
	if key != "name" || len(before) == 0 || len(after) == 0 {
		return
	}
	oldOrder, newOrder := namesOf(before, key), namesOf(after, key)
	expected := slices.Concat(without(oldOrder, without(oldOrder, newOrder)), without(newOrder, oldOrder))
	if !slices.Equal(expected, newOrder) {
		d.changes = append(d.changes, FieldChange{Path: path + " order", Before: encode(oldOrder), After: encode(newOrder)})
	}
}

func orMissing(v map[string]any, there bool) any {
	if !there {
		return missing{}
	}
	return v
}

func withoutKey(o map[string]any, key string) map[string]any {
	o = maps.Clone(o)
	delete(o, key)
	return o
}

// listKey is the field by which every element of both lists can be told apart.
func listKey(before, after []any) (string, bool) {
	for _, key := range []string{"name", "id", "backend", "exposure"} {
		if hasKey(before, key) && hasKey(after, key) {
			return key, true
		}
	}
	return "", false
}

func hasKey(list []any, key string) bool {
	seen := map[string]bool{}
	for _, v := range list {
		name, ok := asObject(v)[key].(string)
		if !ok || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

func byKey(list []any, key string) map[string]map[string]any {
	out := map[string]map[string]any{}
	for _, v := range list {
		o := asObject(v)
		out[o[key].(string)] = o
	}
	return out
}

func namesOf(list []any, key string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i], _ = asObject(v)[key].(string)
	}
	return out
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.*/-]{1,253}$`)

// word is a key as it is, or quoted when it holds anything that could be taken for something else.
func word(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return encode(s)
}

func join(path, key string) string {
	if path == "" {
		return word(key)
	}
	return path + "." + word(key)
}

func encodeAll(list []any) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = encode(v)
	}
	return out
}

// encode is JSON on one line, with <, > and & as they are.
func encode(v any) string {
	if _, none := v.(missing); none {
		return ""
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v)) // decoded JSON always encodes
	}
	return strings.TrimSuffix(b.String(), "\n")
}
