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
	"RuntimeKey": `"envoy.reloadable_features.some_name"`, "ID": `"name"`, "Hostname": `"www.acme.example"`, "Duration": `"5s"`, "Path": `"/path"`, "AddrPort": `"10.0.0.1:8080"`, "Addr": `"192.0.2.10"`,
	"Date": `"2027-01-31"`, "Exposure": `"public"`, "Rule": `"backend/health"`, "Port": "8080", "RetryOn": `"connect-failure"`, "HeaderName": `"x-name"`, "HeaderValue": `"value"`,
	"FieldPath": `"routes.match.path.regex"`, "OnCall": `"#team-oncall"`, "RecordName": `"www.acme.example"`, "Region": `"eu-central-1"`, "SetID": `"blue"`,
	"RoleARN": `"arn:aws:iam::123456789012:role/edgewright"`, "HealthCheckName": `"web"`, "HealthCheckRef": `"web"`, "FilePath": `"/etc/edgewright/tls/name.pem"`, "Cipher": `"ECDHE-RSA-AES128-GCM-SHA256"`,
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
		key := "name"
		if f.Keys.Name == "HeaderName" {
			key = f.Keys.example(0)
		}
		fields = []string{key + ": " + f.Values.example(deep-1)}
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
	case f.Kind == List && f.wrap(value) != "":
		return "write " + f.wrap(value)
	case f.Kind == List:
		return "for example " + f.example(2)
	case f.Kind == Group:
		return f.insteadOfGroup(value)
	case (f.Kind == Number || f.Kind == Flag) && isText && len(f.Check(bare(text))) == 0:
		return "write " + text + ", without quotes"
	case f.Kind == Number && isText && len(f.Check(json.Number(strings.TrimSuffix(text, "%")))) == 0:
		return "write " + strings.TrimSuffix(text, "%") + ", without quotes and %"
	case f.Kind == Number && isText && synonyms[text] != "" && slices.Contains(f.Choices, synonyms[text]):
		return "write " + synonyms[text]
	case f.Kind == Number && f.Message != "":
		return f.Message
	case f.Kind == Text && slices.Contains(f.Alternatives(), synonyms[string(written)]):
		return "write " + strconv.Quote(synonyms[string(written)]) + "; " + f.Message
	case f.Kind == Text && written != nil && f.mended(string(written)) != "":
		return "write " + strconv.Quote(f.mended(string(written)))
	case f.Kind == Text && f.Message != "":
		return f.Message
	case f.Kind == Text && written != nil && !isGroup:
		return "write " + strconv.Quote(string(written))
	}
	return ""
}

// insteadOfGroup puts the value into the field that it fits, where there is one.
func (f *Form) insteadOfGroup(value any) string {
	if len(f.Fields) == 0 {
		return f.insteadOfKeys(value)
	}
	if f.Name == "Match" && value == "*" {
		return "leave out match: then every request matches"
	}
	names := "; fields here are " + strings.Join(slices.Sorted(maps.Keys(f.Fields)), ", ")
	if wrapped := f.wrap(value); wrapped != "" {
		return "write " + wrapped + names
	}
	return "for example " + f.example(3) + names
}

// insteadOfKeys is for a group whose fields are named by the author: "name: value" in one text is taken apart.
func (f *Form) insteadOfKeys(value any) string {
	text, _ := value.(string)
	if key, rest, is := strings.Cut(text, ":"); is && f.Keys.fits(key) && len(f.Values.Check(strings.TrimSpace(rest))) == 0 {
		return fmt.Sprintf("write {%q: %q}", key, strings.TrimSpace(rest))
	}
	return "write " + f.example(2) + ", with names of your choice"
}

// wrap puts a value into the field or list that it fits, as deep as that is; empty: it fits nowhere.
func (f *Form) wrap(value any) string {
	switch f.Kind {
	case Text, Number:
		if len(f.Check(value)) == 0 {
			return brief(value)
		}
	case List:
		if item := f.Items.wrap(value); item != "" {
			return "[" + item + "]"
		}
	case Group:
		for _, must := range []bool{true, false} {
			for _, name := range f.Order {
				field := f.Fields[name]
				if field.Required != must || !must && (field.Form.Kind == List || field.Form.Kind != Text && f.requires()) {
					continue
				}
				if within := field.Form.wrap(value); within != "" && within != "…" {
					return "{" + strings.Join(f.beside(name, within), ", ") + "}"
				}
			}
		}
	}
	return ""
}

// requires tells whether there are fields that a group must have.
func (f *Form) requires() bool {
	return slices.ContainsFunc(f.Order, func(name string) bool { return f.Fields[name].Required })
}

// beside are the fields that a group must have, with one that is given.
func (f *Form) beside(given, value string) []string {
	var fields []string
	for _, name := range f.Order {
		switch {
		case name == given:
			fields = append(fields, name+": "+value)
		case f.Fields[name].Required:
			fields = append(fields, name+": "+f.Fields[name].Form.example(2))
		}
	}
	return fields
}

// whole says what number without a fraction is likely meant.
func (f *Form) whole(n float64) string {
	switch {
	case n == float64(int(n)):
		return fmt.Sprintf("write %d", int(n))
	case n < 1 && f.Max != nil && *f.Max == 100 && 100*n > 0:
		return fmt.Sprintf("write it in percent: %d", int(100*n+0.5))
	}
	return ""
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
	"TLSv1.2": "1.2", "TLSv1.3": "1.3", "permanent": "301", "temporary": "302", "connection-failure": "connect-failure", "connect": "connect-failure", "502": "gateway-error", "503": "gateway-error", "504": "gateway-error",
}

// near is the choice that is likely meant, or the value without what is wrong with it.
func (f *Form) near(v string) string {
	if means := synonyms[v]; slices.Contains(f.Alternatives(), means) {
		return "write " + strconv.Quote(means)
	}
	if near := schema.Nearest(v, f.Alternatives()); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	for _, word := range f.Alternatives() {
		if strings.EqualFold(word, v) {
			return "write " + strconv.Quote(word)
		}
	}
	if f.Name == "AddrPort" {
		return insteadOfAddress(v)
	}
	if mended := f.mended(v); mended != "" {
		return "write " + strconv.Quote(mended)
	}
	if f.Name == "Hostname" && !strings.ContainsAny(v, ".:/*") && v != "" {
		return fmt.Sprintf("this has no dot: write the whole name, %s and a domain of your team behind it", v)
	}
	return ""
}

var (
	scheme     = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://`)
	backwards  = regexp.MustCompile(`^([0-9]{2})[./-]([0-9]{2})[./-]([0-9]{4})$`)
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
		if from := scheme.FindString(v); from != "" {
			_, v, _ = strings.Cut(strings.TrimPrefix(v, from), "/")
		}
		v, _, _ = strings.Cut(strings.TrimSpace(v), "?")
		v, _, _ = strings.Cut(v, "#")
		return try("/" + strings.TrimPrefix(v, "/"))
	case "HeaderName":
		return try(strings.TrimSuffix(strings.ToLower(strings.TrimSpace(v)), ":"))
	case "Date":
		if day := backwards.FindStringSubmatch(v); day != nil {
			return try(day[3] + "-" + day[2] + "-" + day[1])
		}
	case "ID":
		return try(strings.Trim(strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(v)), "-"))
	}
	return ""
}

// faultsIn names what is wrong with a host name, in so many words.
func (f *Form) faultsIn(v string) string {
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
	return strings.Join(faults, " and ")
}
