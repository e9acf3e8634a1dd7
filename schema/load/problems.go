package load

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/token"

	"github.com/edgewright/edgewright/schema"
)

// maxProblems is how many problems of one file are told: the first ones explain the rest.
const maxProblems = 20

// fromCUE turns CUE's errors into sentences with the place that the author wrote.
func fromCUE(file string, err error, source schema.Source, definition cue.Value) []schema.Problem {
	var problems []schema.Problem
	told := map[string]bool{}
	for _, e := range errors.Errors(err) {
		path := authorPath(e.Path())
		p := wording(e, path, definition)
		p.Path, p.Position = path, authorPosition(file, e, source, path)
		if key := p.Position.String() + p.Message; told[key] {
			continue
		} else {
			told[key] = true
		}
		problems = append(problems, p)
		if len(problems) == maxProblems {
			break
		}
	}
	return problems
}

// authorPath writes a CUE path as an author says it: routes[0].match. Definitions and the way to the service are left out.
func authorPath(path []string) string {
	if len(path) > 0 && strings.HasPrefix(path[0], "#") {
		path = path[1:]
	} else if len(path) > 1 && path[0] == "services" {
		path = path[2:]
	}
	var b strings.Builder
	for _, part := range path {
		if unquoted, err := strconv.Unquote(part); err == nil {
			part = unquoted
		}
		if _, err := strconv.Atoi(part); err == nil {
			fmt.Fprintf(&b, "[%s]", part)
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(part)
	}
	return b.String()
}

// authorPosition is where the author wrote what is wrong: as CUE says it when it names the file, else as the syntax tells.
func authorPosition(file string, e errors.Error, source schema.Source, path string) schema.Position {
	if at, known := source.At[path]; known && !isReference(e) {
		if precise := within(file, e); precise.Line != 0 {
			return precise
		}
		return at
	}
	if precise := within(file, e); precise.Line != 0 {
		return precise
	}
	if at := source.Find(path); at.Line != 0 {
		return at
	}
	return schema.Position{File: file, Line: 1, Column: 1}
}

func within(file string, e errors.Error) schema.Position {
	for _, p := range append([]token.Pos{e.Position()}, e.InputPositions()...) {
		if p.IsValid() && p.Filename() == file {
			return position(file, p)
		}
	}
	return schema.Position{}
}

func isReference(e errors.Error) bool {
	format, _ := e.Msg()
	return strings.HasPrefix(format, "reference")
}

// wording says what is wrong in a sentence that begins with the name of the field.
func wording(e errors.Error, path string, definition cue.Value) schema.Problem {
	format, args := e.Msg()
	text := fmt.Sprintf(format, args...)
	name := path
	if name == "" {
		name = "this declaration"
	}
	switch {
	case format == "field not allowed" || strings.HasSuffix(text, "field not allowed"):
		return unknownField(path, definition)
	case strings.Contains(text, "field is required but not present"):
		return schema.Problem{Code: "field/missing", Message: name + " is missing", Hint: "add it: it has no default"}
	case strings.HasPrefix(format, "incomplete value"):
		return schema.Problem{Code: "field/incomplete", Message: name + " has no value yet: it is " + strings.TrimPrefix(text, "incomplete value "), Hint: "write one value out"}
	case strings.Contains(format, "mismatched types") && len(args) == 4:
		have, want := mismatch(args)
		return schema.Problem{Code: "field/type", Message: fmt.Sprintf("%s must be %s, not %s", name, kind(want), kind(have))}
	case strings.HasPrefix(format, "invalid value") && strings.Contains(format, "out of bound") && len(args) == 2:
		return schema.Problem{Code: "field/value", Message: fmt.Sprintf("%s is %v, but must be %s", name, args[0], bound(fmt.Sprint(args[1])))}
	case strings.HasPrefix(format, "conflicting values"):
		return schema.Problem{Code: "field/conflict", Message: name + " has two values: " + strings.TrimPrefix(text, "conflicting values "), Hint: "keep one of them"}
	case format == "%s": // the schema's own sentence
		return schema.Problem{Code: "field/value", Message: sentence(name, text)}
	case isReference(e):
		return schema.Problem{Code: "cue/reference", Message: text, Hint: "a name is known only in its own file: quote it if you meant text"}
	}
	return schema.Problem{Code: "cue/evaluate", Message: name + ": " + text}
}

// sentence puts the field in front of what the schema says about its values.
func sentence(name, text string) string {
	if last := name[strings.LastIndexAny(name, ".")+1:]; strings.HasPrefix(text, last+" ") {
		return text
	}
	return name + ": " + text
}

func mismatch(args []any) (have, want string) {
	a, b := fmt.Sprint(args[2]), fmt.Sprint(args[3])
	// CUE does not say which side is the schema's: the schema's value is a type or holds one.
	if left := fmt.Sprint(args[0]); strings.ContainsAny(left, "#") || slices.Contains([]string{"string", "int", "bool", "number"}, left) || strings.HasPrefix(left, "{") && b != "struct" {
		return b, a
	}
	return a, b
}

func kind(cueKind string) string {
	switch cueKind {
	case "string":
		return "text in quotes"
	case "int", "number", "float":
		return "a number"
	case "list":
		return "a list in brackets"
	case "struct":
		return "a group of fields in braces"
	case "bool":
		return "true or false"
	}
	return "a " + cueKind
}

func bound(b string) string {
	for sign, words := range map[string]string{">=": "at least ", "<=": "at most "} {
		if rest, is := strings.CutPrefix(b, sign); is {
			return words + rest
		}
	}
	return b
}

// unknownField names the field that is likely meant, from the definition.
func unknownField(path string, definition cue.Value) schema.Problem {
	parent, field := "", path
	if i := strings.LastIndex(path, "."); i >= 0 {
		parent, field = path[:i], path[i+1:]
	}
	p := schema.Problem{Code: "field/unknown", Message: fmt.Sprintf("unknown field %s", field)}
	if parent != "" {
		p.Message += " in " + parent
	}
	known := fields(definition, parent)
	if len(known) == 0 {
		p.Hint = "names here are lower case, without spaces"
	} else if near := nearest(field, known); near != "" {
		p.Hint = "did you mean " + near + "?"
	} else {
		p.Hint = "fields here are " + strings.Join(known, ", ")
	}
	return p
}

// fields are the names that the definition knows at a path.
func fields(definition cue.Value, path string) []string {
	v := definition
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		selector := cue.Str(part).Optional()
		if strings.HasSuffix(part, "]") {
			selector = cue.AnyIndex
		}
		next := v.LookupPath(cue.MakePath(selector))
		if !next.Exists() {
			next = v.LookupPath(cue.MakePath(cue.AnyString))
		}
		if !next.Exists() {
			return nil
		}
		v = next
	}
	iterator, err := v.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for iterator.Next() {
		names = append(names, strings.TrimRight(iterator.Selector().String(), "?!"))
	}
	slices.Sort(names)
	return names
}

// nearest is the known name within two typing errors.
func nearest(name string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := levenshtein(name, k); d < distance && d < len(name) {
			best, distance = k, d
		}
	}
	return best
}

func levenshtein(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
