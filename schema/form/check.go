package form

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Fault is one place where a value does not have its form. Path is as an author says it, routes[0].match, and empty for the whole.
type Fault struct {
	Code    string // field/unknown, field/missing, field/type or field/value
	Path    string
	Message string
	Hint    string
}

// Check compares a value, as encoding/json reads it with UseNumber, with its form. All faults are told, in the order of the fields.
func (f *Form) Check(value any) []Fault {
	return f.CheckAt("", value)
}

// CheckAt is Check for a value that stands at a path.
func (f *Form) CheckAt(path string, value any) []Fault {
	var c checker
	c.check(path, f, value)
	return c.faults
}

type checker struct{ faults []Fault }

func (c *checker) fault(code, path, message, hint string) {
	c.faults = append(c.faults, Fault{Code: code, Path: path, Message: message, Hint: hint})
}

func (c *checker) check(path string, f *Form, value any) {
	switch v := value.(type) {
	case map[string]any:
		if f.Kind == Group {
			c.group(path, f, v)
			return
		}
	case []any:
		if f.Kind == List {
			for i, item := range v {
				c.check(path+"["+strconv.Itoa(i)+"]", f.Items, item)
			}
			return
		}
	case string:
		if f.Kind == Text {
			c.text(path, f, v)
			return
		}
	case json.Number:
		if f.Kind == Number {
			c.number(path, f, v)
			return
		}
	case bool:
		if f.Kind == Flag {
			return
		}
	}
	if f.Kind != Any {
		c.fault("field/type", path, fmt.Sprintf("%s must be %s, not %s", named(path), f.Words(), words(value)), f.instead(value))
	}
}

func named(path string) string {
	if path == "" {
		return "this declaration"
	}
	return path
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (c *checker) group(path string, f *Form, v map[string]any) {
	meant := map[string]bool{} // by a field that is not known
	for _, name := range slices.Sorted(maps.Keys(v)) {
		field := f.Fields[name]
		switch {
		case field != nil:
			c.check(below(path, name), field.Form, v[name])
		case f.Keys != nil && f.Keys.fits(name):
			c.check(below(path, name), f.Values, v[name])
		case f.Keys != nil:
			c.fault("field/name", below(path, name), fmt.Sprintf("%q cannot be a name in %s", name, named(path)), strings.TrimPrefix(f.Keys.near(name)+"; "+f.Keys.Message, "; "))
		default:
			meant[c.unknown(path, f, name, v)] = true
		}
	}
	for _, name := range f.Order {
		if _, there := v[name]; !there && f.Fields[name].Required && !meant[name] {
			c.fault("field/missing", below(path, name), below(path, name)+" is missing", f.Fields[name].Form.add(name))
		}
	}
}

// unknown tells of a field that the form does not have, and returns the one that is likely meant, or in which it belongs.
func (c *checker) unknown(path string, f *Form, name string, there map[string]any) string {
	message := "unknown field " + name
	if path != "" {
		message += " in " + path
	}
	hint, meant := f.meant(name, there)
	if in := f.Fields[meant]; in != nil && in.Form.Kind == List {
		if _, isGroup := there[meant].(map[string]any); isGroup {
			return meant // what is told of the list's brackets mends this too
		}
	}
	c.fault("field/unknown", below(path, name), message, hint)
	return meant
}

// meant is a hint for an unknown field, and the field that is likely meant or in which it belongs.
func (f *Form) meant(name string, there map[string]any) (hint, field string) {
	known := slices.Sorted(maps.Keys(f.Fields))
	near := schema.Nearest(name, known)
	for _, k := range known {
		if near == "" && len(k) > 3 && strings.HasPrefix(strings.ToLower(name), k) {
			near = k
		}
	}
	if near != "" {
		return "did you mean " + near + "?", near
	}
	if name == "permanent" && f.Fields["code"] != nil {
		return "write code: 301, which is permanent, or 302, which is not", "code"
	}
	if hint, field = f.elsewhere(name, there); hint != "" {
		return hint, field
	}
	fields := "fields here are " + strings.Join(known, ", ")
	if likely := f.standsFor(there[name], there); len(likely) > 0 {
		return "did you mean " + strings.Join(likely, " or ") + "? " + fields, likely[0]
	}
	return fields, ""
}

func (c *checker) text(path string, f *Form, v string) {
	if f.fits(v) {
		return
	}
	message := f.Message
	switch {
	case message != "":
	case len(f.Alternatives()) > 0:
		message = "it must be " + strings.Join(f.Alternatives(), ", ")
	default:
		message = "it must match " + f.Pattern.String()
	}
	if faults := f.faultsIn(v); faults != "" {
		c.fault("field/value", path, named(path)+" has "+faults+", which a host name has not", f.near(v))
		return
	}
	c.fault("field/value", path, sentenceFor(path, message), f.near(v))
}

// Alternatives are the words of a pattern that is a list of them, ^(a|b|c)$, or the choices.
func (f *Form) Alternatives() []string {
	if f.Pattern == nil {
		return f.Choices
	}
	inner, is := strings.CutPrefix(f.Pattern.String(), "^(")
	inner, ends := strings.CutSuffix(inner, ")$")
	if !is || !ends || strings.ContainsAny(inner, `()[]{}\.+*?`) {
		return nil
	}
	return strings.Split(inner, "|")
}

func (f *Form) fits(v string) bool {
	return (f.Pattern == nil || f.Pattern.MatchString(v)) && (len(f.Choices) == 0 || slices.Contains(f.Choices, v))
}

// sentenceFor puts the field in front of what the schema says about its values.
func sentenceFor(path, message string) string {
	if last := path[strings.LastIndexAny(path, ".")+1:]; strings.HasPrefix(message, last+" ") {
		return message
	}
	return named(path) + ": " + message
}

func (c *checker) number(path string, f *Form, v json.Number) {
	n, err := v.Float64()
	if whole := strings.IndexAny(v.String(), ".eE") < 0; err != nil || f.Whole && !whole {
		c.fault("field/type", path, fmt.Sprintf("%s must be a whole number, not %s", named(path), v), f.whole(n))
		return
	}
	switch {
	case len(f.Choices) > 0 && !slices.Contains(f.Choices, v.String()):
		c.fault("field/value", path, sentenceFor(path, f.Message), "")
	case f.Min != nil && n < *f.Min:
		c.fault("field/value", path, fmt.Sprintf("%s is %s, but must be at least %v", named(path), v, *f.Min), "")
	case f.Max != nil && n > *f.Max:
		c.fault("field/value", path, fmt.Sprintf("%s is %s, but must be at most %v", named(path), v, *f.Max), "")
	}
}

// Words say what a value of this form is.
func (f *Form) Words() string {
	switch f.Kind {
	case Group:
		return "a group of fields in braces"
	case List:
		return "a list in brackets"
	case Text:
		return "text in quotes"
	case Number:
		return "a number"
	case Flag:
		return "true or false"
	}
	return "anything"
}

func words(value any) string {
	switch value.(type) {
	case map[string]any:
		return (&Form{Kind: Group}).Words()
	case []any:
		return (&Form{Kind: List}).Words()
	case string:
		return (&Form{Kind: Text}).Words()
	case json.Number:
		return (&Form{Kind: Number}).Words()
	case bool:
		return (&Form{Kind: Flag}).Words()
	}
	return "null"
}
