package form

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// examples are values of definitions, for hints, as CUE writes them.
var examples = map[string]string{
	"ID": `"name"`, "Hostname": `"www.acme.example"`, "Duration": `"5s"`, "Path": `"/path"`, "AddrPort": `"10.0.0.1:8080"`, "Addr": `"192.0.2.10"`,
	"Date": `"2027-01-31"`, "Exposure": `"public"`, "Rule": `"backend/health"`, "Port": "8080",
}

// example is a value of the form, as short as it can be; deep bounds how far groups are written out.
func (f *Form) example(deep int) string {
	if known, is := examples[f.Name]; is {
		return known
	}
	switch f.Kind {
	case Group:
		return f.exampleGroup(deep)
	case List:
		return "[" + f.Items.example(deep) + "]"
	case Text:
		if words := f.Alternatives(); len(words) > 0 {
			return strconv.Quote(words[0])
		}
		return `"…"`
	case Number:
		if len(f.Choices) > 0 {
			return f.Choices[0]
		}
		if f.Min != nil {
			return strconv.FormatFloat(max(*f.Min, 1), 'f', -1, 64)
		}
		return "1"
	case Flag:
		return "true"
	}
	return "…"
}

// exampleGroup has the fields that the group must have, or the first where it must have none.
func (f *Form) exampleGroup(deep int) string {
	if deep == 0 {
		return "{…}"
	}
	var fields []string
	for _, name := range f.Order {
		if f.Fields[name].Required {
			fields = append(fields, name+": "+f.Fields[name].Form.example(deep-1))
		}
	}
	switch {
	case len(fields) > 0:
	case len(f.Order) > 0:
		fields = []string{f.Order[0] + ": " + f.Fields[f.Order[0]].Form.example(deep-1)}
	case f.Values != nil:
		fields = []string{"name: " + f.Values.example(deep-1)}
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// instead says how to write a value of another kind in this form, where that can be told.
func (f *Form) instead(value any) string {
	written, err := json.Marshal(value)
	if err != nil || len(written) > 60 {
		written = nil
	}
	text, isText := value.(string)
	_, isGroup := value.(map[string]any)
	switch {
	case f.Kind == List && f.Items.Kind == Group && isGroup:
		return "put brackets around it: [{…}]"
	case f.Kind == List && written != nil && len(f.Items.Check(value)) == 0:
		return "write [" + string(written) + "]"
	case f.Kind == List:
		return "for example " + f.example(2)
	case f.Kind == Group:
		return f.insteadOfGroup(value, string(written))
	case (f.Kind == Number || f.Kind == Flag) && isText && len(f.Check(bare(text))) == 0:
		return "write " + text + ", without quotes"
	case f.Kind == Number && f.Message != "":
		return f.Message
	case f.Kind == Text && written != nil && f.mended(string(written)) != "":
		return "write " + strconv.Quote(f.mended(string(written)))
	case f.Kind == Text && f.Message != "":
		return f.Message
	case f.Kind == Text && written != nil && !isGroup:
		return "write " + strconv.Quote(string(written))
	}
	return ""
}

// insteadOfGroup puts the value into the first field that it fits, where there is one.
func (f *Form) insteadOfGroup(value any, written string) string {
	if len(f.Fields) == 0 {
		return "write {name: …}, with names of your choice"
	}
	names := "fields here are " + strings.Join(slices.Sorted(maps.Keys(f.Fields)), ", ")
	for _, name := range f.Order {
		if kind := f.Fields[name].Form; written != "" && (kind.Kind == Text || kind.Kind == Number) && kind.Message != "anything" && len(kind.Check(value)) == 0 && f.soleRequired(name) {
			return fmt.Sprintf("write {%s: %s}; %s", name, written, names)
		}
	}
	return fmt.Sprintf("for example %s; %s", f.example(3), names)
}

// soleRequired tells whether a group may do with one field alone.
func (f *Form) soleRequired(name string) bool {
	for other, field := range f.Fields {
		if field.Required && other != name {
			return false
		}
	}
	return true
}

// bare is what a text would be without its quotes.
func bare(text string) any {
	if text == "true" || text == "false" {
		return text == "true"
	}
	return json.Number(text)
}

// add says how a field that is missing is written.
func (f *Form) add(name string) string {
	hint := fmt.Sprintf("add it, for example %s: %s", name, f.example(3))
	items := f
	if f.Kind == List {
		items = f.Items
	}
	if words := items.Alternatives(); len(words) > 0 {
		hint += "; " + items.Message
	}
	return hint
}

// synonyms are words that people use for others.
var synonyms = map[string]string{
	"external": "public", "internet": "public", "open": "public", "private": "internal", "intern": "internal", "intranet": "internal",
	"permanent": "301", "temporary": "302", "connection-failure": "connect-failure", "connect": "connect-failure", "timeout": "reset",
}

// near is the choice that is likely meant, or the value without what is wrong with it.
func (f *Form) near(v string) string {
	if means := synonyms[v]; slices.Contains(f.Alternatives(), means) {
		return "write " + strconv.Quote(means)
	}
	if near := schema.Nearest(v, f.Alternatives()); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	if f.Name == "AddrPort" {
		return insteadOfAddress(v)
	}
	if mended := f.mended(v); mended != "" {
		return f.faultIn(v) + "write " + strconv.Quote(mended)
	}
	return ""
}

var (
	scheme     = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`)
	hostAndEnd = regexp.MustCompile(`^((?:[a-z0-9-]+\.)*[a-z][a-z0-9-]*):([0-9]{1,5})$`)
)

// insteadOfAddress is for those who write a name, or leave out the port.
func insteadOfAddress(v string) string {
	v = scheme.ReplaceAllString(v, "")
	if host := hostAndEnd.FindStringSubmatch(v); host != nil {
		return fmt.Sprintf("a name goes to dns, in the place of addresses: dns: %q, port: %s", host[1], host[2])
	}
	if !strings.Contains(v, ":") {
		return fmt.Sprintf("it needs a port: %q", v+":8080")
	}
	return ""
}

// mended is the value without what people often add to it or leave out; empty: it would not fit so either.
func (f *Form) mended(v string) string {
	try := func(v string) string {
		if v != "" && f.fits(v) {
			return v
		}
		return ""
	}
	switch f.Name {
	case "Hostname":
		v = scheme.ReplaceAllString(v, "")
		v, _, _ = strings.Cut(v, "/")
		v, _, _ = strings.Cut(v, ":")
		return try(strings.TrimSuffix(strings.ReplaceAll(strings.ToLower(strings.TrimSpace(v)), "_", "-"), "."))
	case "Duration":
		words := strings.NewReplacer(" ", "", "seconds", "s", "second", "s", "sec", "s", "minutes", "m", "minute", "m", "min", "m", "milliseconds", "ms", "hours", "h", "hour", "h")
		v = words.Replace(strings.ToLower(v))
		if mended := try(v); mended != "" {
			return mended
		}
		if n, err := strconv.Atoi(v); err == nil && n >= 100 {
			return try(v + "ms")
		}
		return try(v + "s")
	case "Path":
		if strings.Contains(v, "://") {
			return ""
		}
		return try("/" + strings.TrimSpace(v))
	case "ID":
		return try(strings.Trim(strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(v)), "-"))
	}
	return ""
}

// faultIn names what is wrong with a host name, in so many words.
func (f *Form) faultIn(v string) string {
	if f.Name != "Hostname" {
		return ""
	}
	var faults []string
	add := func(is bool, words string) {
		if is {
			faults = append(faults, words)
		}
	}
	rest := scheme.ReplaceAllString(v, "")
	host, _, path := strings.Cut(rest, "/")
	add(rest != v, "a scheme ("+scheme.FindString(v)+")")
	add(path, "a path")
	add(strings.Contains(host, ":"), "a port")
	add(strings.ToLower(v) != v, "upper case")
	add(strings.Contains(host, "_"), "an underscore")
	add(strings.HasSuffix(host, "."), "a final dot")
	add(strings.TrimSpace(v) != v, "a space")
	if len(faults) == 0 {
		return ""
	}
	return "this has " + strings.Join(faults, " and ") + ": "
}

// find is where a field of that name is, below a group: its names on the way, [] for the items of a list, and <name> for names of your
// choice. The nearest is found, in the order of the fields.
func (f *Form) find(name string, deep int) []string {
	type place struct {
		way []string
		f   *Form
	}
	open := []place{{nil, f}}
	for ; deep > 0 && len(open) > 0; deep-- {
		var next []place
		for _, p := range open {
			for _, field := range p.f.Order {
				in, way := inner(p.f.Fields[field].Form, append(slices.Clone(p.way), field))
				if in.Kind == Group && in.Fields[name] != nil {
					return append(way, name)
				}
				next = append(next, place{way, in})
			}
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
	way := f.find(name, 3)
	if way == nil {
		return f.asKey(name)
	}
	within, _, _ = strings.Cut(way[0], "[")
	group := strings.Join(way[:len(way)-1], ".")
	if _, is := there[within]; is && len(way) == 2 && way[0] == within {
		return fmt.Sprintf("%s is a field of %s: put all that belongs to it into braces: %s: {…, %s: …}", name, group, within, name), within
	}
	return fmt.Sprintf("%s is a field of %s: write %s", name, group, nested(way)), within
}

// nested writes the way to a field as CUE does.
func nested(way []string) string {
	text := way[len(way)-1] + ": …"
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

// asKey says where a name that is no field can be a name of one's own.
func (f *Form) asKey(name string) (hint, within string) {
	for _, field := range f.Order {
		if in := f.Fields[field].Form; in.Keys != nil && in.Keys.fits(name) && strings.ContainsAny(name, "-") {
			return fmt.Sprintf("it can be a name in %s: write %s: %q: …", field, field, name), field
		}
	}
	return "", ""
}
