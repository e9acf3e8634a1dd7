package form

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Change is one difference between two schemas.
type Change struct {
	Path   string // in the author's words, beginning with the definition: Service.routes
	What   string // in a sentence without a final dot
	Breaks bool   // a file that fits the old schema may not fit the new one
}

// Compare is what is different in another schema, for the definitions that files are of, in the order of their paths. It looks at the
// forms alone; rules are not part of a schema.
func Compare(old, new Schema, roots ...string) []Change {
	c := comparison{seen: map[string]bool{}}
	for _, root := range roots {
		c.forms(root, old[root], new[root])
	}
	slices.SortStableFunc(c.changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return c.changes
}

type comparison struct {
	changes []Change
	seen    map[string]bool // pairs of definitions that are compared already
}

func (c *comparison) add(breaks bool, path, format string, args ...any) {
	c.changes = append(c.changes, Change{Path: path, What: fmt.Sprintf(format, args...), Breaks: breaks})
}

func (c *comparison) forms(path string, old, new *Form) {
	switch {
	case old == nil && new == nil:
		return
	case old == nil:
		c.add(false, path, "it is new")
		return
	case new == nil:
		c.add(true, path, "it is gone")
		return
	}
	if old.Name != "" && new.Name != "" { // told where the definition is used first
		if pair := old.Name + " " + new.Name; c.seen[pair] {
			return
		} else {
			c.seen[pair] = true
		}
	}
	if old.Kind != new.Kind {
		c.add(new.Kind != Any, path, "it was %s and is %s", old.Words(), new.Words())
		return
	}
	switch old.Kind {
	case Group:
		c.groups(path, old, new)
	case List:
		c.forms(path+"[]", old.Items, new.Items)
	case Text:
		c.texts(path, old, new)
	case Number:
		c.numbers(path, old, new)
	}
}

func (c *comparison) groups(path string, old, new *Form) {
	names := map[string]bool{}
	for name := range old.Fields {
		names[name] = true
	}
	for name := range new.Fields {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, is, at := old.Fields[name], new.Fields[name], path+"."+name
		switch {
		case was == nil && is.Required:
			c.add(true, at, "it is new and must be there")
		case was == nil:
			c.add(false, at, "it is new")
		case is == nil:
			c.add(true, at, "it is gone")
		default:
			if is.Required && !was.Required {
				c.add(true, at, "it must be there now")
			} else if was.Required && !is.Required {
				c.add(false, at, "it may be left out now")
			}
			c.forms(at, was.Form, is.Form)
		}
	}
	switch {
	case old.Keys != nil && new.Keys == nil:
		c.add(true, path, "names of one's own are not taken any more")
	case old.Keys != nil:
		c.forms(path+".<name>", old.Keys, new.Keys)
		c.forms(path+".*", old.Values, new.Values)
	case new.Keys != nil:
		c.add(false, path, "names of one's own are taken now")
	}
}

func (c *comparison) texts(path string, old, new *Form) {
	was, is := old.Alternatives(), new.Alternatives()
	switch {
	case pattern(old) == pattern(new) && slices.Equal(old.Choices, new.Choices):
	case len(was) > 0 && len(is) > 0:
		c.choices(path, was, is)
	case pattern(new) == "" && len(is) == 0:
		c.add(false, path, "any text is taken now")
	case pattern(old) == "":
		c.add(true, path, "text must match %s now", pattern(new))
	default:
		c.add(true, path, "text must match %s and not %s, so some may not fit any more", pattern(new), pattern(old))
	}
}

func pattern(f *Form) string {
	if f.Pattern == nil {
		return ""
	}
	return f.Pattern.String()
}

func (c *comparison) choices(path string, was, is []string) {
	for _, v := range was {
		if !slices.Contains(is, v) {
			c.add(true, path, "%s is not taken any more", v)
		}
	}
	for _, v := range is {
		if !slices.Contains(was, v) {
			c.add(false, path, "%s is taken now", v)
		}
	}
}

func (c *comparison) numbers(path string, old, new *Form) {
	if new.Whole && !old.Whole {
		c.add(true, path, "it must be a whole number now")
	}
	if len(new.Choices) > 0 && len(old.Choices) > 0 {
		c.choices(path, old.Choices, new.Choices)
	} else if len(new.Choices) > 0 {
		c.add(true, path, "it must be %s now", strings.Join(new.Choices, ", "))
	}
	c.bound(path, "at least", old.Min, new.Min, func(was, is float64) bool { return is > was })
	c.bound(path, "at most", old.Max, new.Max, func(was, is float64) bool { return is < was })
}

func (c *comparison) bound(path, words string, old, new *float64, narrower func(was, is float64) bool) {
	switch {
	case new == nil && old == nil || new != nil && old != nil && *new == *old:
	case new == nil:
		c.add(false, path, "it need not be %s %v any more", words, *old)
	case old == nil || narrower(*old, *new):
		c.add(true, path, "it must be %s %v now", words, *new)
	default:
		c.add(false, path, "it must be only %s %v now", words, *new)
	}
}
