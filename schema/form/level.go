package form

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Fields that are known, but not where they stand; and names that stand for a field.

// find are the places of a field of that name below a group, those that are nearest: its names on the way, [] for the items of a list, and
// <name> for names of one's own. They are in the order of the fields.
func (f *Form) find(name string, deep int) [][]string {
	type place struct {
		way []string
		f   *Form
	}
	open := []place{{nil, f}}
	for ; deep > 0 && len(open) > 0; deep-- {
		var next []place
		var found [][]string
		for _, p := range open {
			for _, field := range p.f.Order {
				in, way := inner(p.f.Fields[field].Form, append(slices.Clone(p.way), field))
				if in.Kind == Group && in.Fields[name] != nil {
					found = append(found, append(slices.Clone(way), name))
				}
				next = append(next, place{way, in})
			}
		}
		if len(found) > 0 {
			return found
		}
		open = next
	}
	return nil
}

// inner is the group that a list or a group by name is made of.
func inner(f *Form, way []string) (*Form, []string) {
	switch {
	case f.Kind == List:
		return inner(f.Items, append(way[:len(way)-1:len(way)-1], way[len(way)-1]+"[]"))
	case f.Kind == Group && f.Values != nil:
		return inner(f.Values, append(way, "<name>"))
	}
	return f, way
}

// elsewhere says where an unknown field belongs, and in which field of this group that is.
func (f *Form) elsewhere(name string, there map[string]any) (hint, within string) {
	ways := f.find(name, 3)
	is := func(way []string) bool { _, is := there[outermost(way)]; return is }
	if !slices.ContainsFunc(ways, is) {
		if hint, within = f.asKey(name, there); hint != "" {
			return hint, within
		}
	} else if len(ways) > 1 { // the one that is there is meant
		ways = slices.DeleteFunc(ways, func(way []string) bool { return !is(way) })
	}
	if len(ways) == 0 {
		return "", ""
	}
	way := ways[0]
	if is(way) && len(way) == 2 && way[0] == outermost(way) {
		return fmt.Sprintf("%s is a field of %s: put all that belongs to it into braces: %s: {…, %s: %s}", name, way[0], way[0], name, brief(there[name])), way[0]
	}
	var groups, written []string
	for _, way := range ways[:min(len(ways), 3)] {
		groups = append(groups, strings.ReplaceAll(strings.Join(way[:len(way)-1], "."), "[]", " (a list)"))
		written = append(written, nested(way, there[name]))
	}
	return fmt.Sprintf("%s is a field of %s: write %s", name, strings.Join(groups, " and of "), strings.Join(written, ", or ")), outermost(way)
}

// outermost is the first field on a way.
func outermost(way []string) string {
	name, _, _ := strings.Cut(way[0], "[")
	return name
}

// nested writes the way to a field, and its value, as CUE does.
func nested(way []string, value any) string {
	text := way[len(way)-1] + ": " + brief(value)
	for _, part := range slices.Backward(way[:len(way)-1]) {
		name, isList := strings.CutSuffix(part, "[]")
		switch {
		case isList:
			text = name + ": [{" + text + "}]"
		case strings.HasPrefix(part, "<"):
			text = "{name: {" + text + "}}"
		default:
			text = name + ": " + text
		}
	}
	return text
}

// brief writes a value that is short, and … for any other.
func brief(value any) string {
	switch value.(type) {
	case string, json.Number, bool:
		if written, err := json.Marshal(value); err == nil && len(written) <= 60 {
			return string(written)
		}
	}
	return "…"
}

// asKey says where a name that is no field can be a name of one's own: in a group that is there, or, if it has a dash, in one that is not.
func (f *Form) asKey(name string, there map[string]any) (hint, within string) {
	way, known := f.keyed(name, there[name], there)
	if way == nil {
		return "", ""
	}
	group, written := strings.Join(way, "."), strings.Join(way, ": ")
	if known {
		return fmt.Sprintf("it can be a name in %s: put all that belongs to it into braces: %s: {…, %q: %s}", group, written, name, brief(there[name])), way[0]
	}
	return fmt.Sprintf("it can be a name in %s: write %s: %q: %s", group, written, name, brief(there[name])), way[0]
}

// keyed is the way to a group in which a name of one's own may have the value, and whether that group is there.
func (f *Form) keyed(name string, value any, there map[string]any) (way []string, known bool) {
	for _, field := range f.Order {
		in := f.Fields[field].Form
		group, is := there[field].(map[string]any)
		switch {
		case in.Keys != nil && in.Keys.fits(name) && is && len(in.Values.Check(value)) == 0:
			return []string{field}, true
		case in.Keys != nil && in.Keys.fits(name) && !is && strings.Contains(name, "-"):
			return []string{field}, false
		case in.Kind == Group && in.Keys == nil && is:
			if way, known := in.keyed(name, value, group); known {
				return append([]string{field}, way...), true
			}
		}
	}
	return nil, false
}

// standsFor are the fields of this group that are not there and that a value under an unknown name can be meant for: those that it must
// have and that the value fits, else those with values so peculiar that no other word fits them.
func (f *Form) standsFor(value any, there map[string]any) []string {
	var needed, likely []string
	for _, name := range f.Order {
		field := f.Fields[name]
		if _, is := there[name]; is || len(field.Form.Check(value)) > 0 {
			continue
		}
		if field.Required {
			needed = append(needed, name)
		} else if field.Form.peculiar() {
			likely = append(likely, name)
		}
	}
	if len(needed) == 1 {
		return needed
	}
	if len(needed) == 0 && len(likely) <= 2 {
		return likely
	}
	return nil
}

// peculiar tells whether few values fit.
func (f *Form) peculiar() bool {
	switch f.Kind {
	case Number:
		return true
	case Text:
		return !f.fits("name")
	case List:
		return f.Items.peculiar()
	}
	return false
}
