// Package reference writes the page from which people learn to declare: every definition of the schema, with an example.
//
// It holds no rules: those have pages of their own in schema/pages.
package reference

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/schema/form"
	"github.com/edgewright/edgewright/schema/pages"
)

//go:embed examples
var examples embed.FS

// Example is one file of a repository, told of in the page.
type Example struct {
	Definition string // that it shows
	Path       string // in a repository
	Text       string
}

// Examples are those of the page, by definition. A file's first lines say what it shows and where it would lie.
func Examples() []Example {
	var all []Example
	names, err := fs.Glob(examples, "examples/*.cue")
	for _, name := range names {
		data, read := examples.ReadFile(name)
		if read != nil {
			err = read
		}
		head, text, _ := strings.Cut(string(data), "\n\n")
		definition, path, _ := strings.Cut(strings.TrimPrefix(head, "// "), ": ")
		all = append(all, Example{Definition: definition, Path: path, Text: text})
	}
	if err != nil {
		panic("read embedded examples: " + err.Error()) // they are in the program
	}
	return all
}

const introduction = `# Reference

What may be declared, generated from the schema by ` + "`edgewright schema reference`" + `. A repository of declarations looks like this:

    platform/*.cue                 what the platform team declares: package platform, the fields of Platform
    services/<team>/<id>.cue       one service each: package services, services: "<id>": the fields of Service
    services/shared.cue            optional: definitions (#name) and hidden fields (_name) for all services
    services/<team>/shared.cue     optional: the same for one team
    <folder>/*.cue                 optional: a package to import, as <module>/<folder>
    cue.mod/module.cue             optional: names the module

A service needs few lines; what it leaves out comes from the platform's defaults. ` + "`edgewright new service TEAM/ID`" + ` writes one to start from,
` + "`edgewright show SERVICE`" + ` prints the whole of it, and ` + "`edgewright validate DIR`" + ` tells what is wrong with it and where.

## CUE in a few lines

    package services                             // every file of services/ begins so; this is a comment

    services: "trello-web": {                    // a name with a dash is in quotes
    	hosts: ["trello.acme.example"]           // a list is in brackets, text in double quotes
    	exposure: "public"                       // a field a line, or divided by commas
    	owner: oncall: "#trello-oncall"          // a: b: c is a: {b: c}: for one field; several stand in braces:
    	backends: web: {
    		addresses: ["10.0.0.1:8080", "10.0.0.2:8080"]
    		health: {path: "/healthz", interval: "5s"}
    	}
    	routes: [                                // a route is in braces
    		{name: "old", match: path: regex: #"/item/\d+"#, redirect: {path: "/", code: 301}},
    		{name: "all", forward: to: [{backend: "web"}]},
    	]
    }

Numbers, true and false are written without quotes, durations with them: ` + "`\"3s\"`" + `. In text a backslash is written twice, or the text is put in ` + "`#\"…\"#`" + `.
` + "`edgewright explain cue/syntax`" + ` shows what people write who come from other languages, and how CUE has it.

`

// order is how the page goes; definitions that are not named here follow.
var order = []string{"Service", "Owner", "Backend", "HealthCheck", "Route", "Match", "PathMatch", "HeaderMatch", "Forward", "Destination", "Retries", "Redirect", "Respond",
	"HeaderEdit", "Waiver", "Platform", "Team", "Fleet", "Listener", "TLS", "TLSPolicy", "Certificate", "Zone", "DNSHealthCheck", "DefaultsOf", "Defaults", "HealthDefaults", "ForwardDefaults", "Protected", "Deprecation", "Limits", "Quotas", "Deletions"}

// Markdown is the page.
func Markdown(s form.Schema) string {
	var b strings.Builder
	b.WriteString(introduction)
	names := slices.DeleteFunc(s.Names(), func(n string) bool { return s[n].Kind != form.Group })
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	for _, name := range names {
		group(&b, s[name])
	}
	b.WriteString("## Values\n\n| value | must be |\n|---|---|\n")
	for _, name := range s.Names() {
		if f := s[name]; f.Kind != form.Group {
			fmt.Fprintf(&b, "| <a id=%q></a>%s | %s |\n", anchor(name), name, cell(worded(f)))
		}
	}
	b.WriteString("\n## Problems\n\nEach problem has a code in brackets; `edgewright explain CODE` shows its page, with an example of bad and good.\n\n| code | |\n|---|---|\n")
	for _, p := range pages.All() {
		fmt.Fprintf(&b, "| `%s` | %s |\n", p.Code, cell(p.Title))
	}
	return b.String()
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

func group(b *strings.Builder, f *form.Form) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", f.Name, undefined(f.Doc))
	b.WriteString("| field | | what it is |\n|---|---|---|\n")
	rows(b, f, "")
	b.WriteByte('\n')
	for _, e := range Examples() {
		if e.Definition == f.Name {
			fmt.Fprintf(b, "`%s`:\n\n```cue\n%s```\n\n", e.Path, e.Text)
		}
	}
}

func rows(b *strings.Builder, f *form.Form, prefix string) {
	for _, name := range f.Order {
		field := f.Fields[name]
		needed := ""
		if field.Required {
			needed = "required"
		}
		fmt.Fprintf(b, "| `%s%s` | %s | %s |\n", prefix, name, needed, cell(sentence(field.Form, meaning(name, field.Doc))))
		if field.Form.Kind == form.Group && field.Form.Name == "" && field.Form.Keys == nil {
			rows(b, field.Form, prefix+name+".")
		}
	}
}

// meaning is a comment without the name that it begins with.
func meaning(name, doc string) string {
	doc = strings.TrimPrefix(strings.TrimPrefix(doc, name+" "), name+": ")
	return strings.TrimPrefix(strings.TrimPrefix(doc, "is "), "are ")
}

// sentence joins what a value is with what the schema says about it.
func sentence(f *form.Form, doc string) string {
	text := kind(f)
	if doc != "" {
		text += ": " + undefined(doc)
	}
	if f.Name == "" && f.Kind == form.Text && f.Message != "" && len(f.Alternatives()) == 0 {
		text = strings.TrimSuffix(text, ".") + " (" + f.Message + ")."
	}
	return text
}

// kind is what a value is, with a link to its definition.
func kind(f *form.Form) string {
	switch {
	case f.Name != "":
		return "[" + f.Name + "](#" + anchor(f.Name) + ")"
	case f.Kind == form.List:
		return "list of " + kind(f.Items)
	case f.Keys != nil:
		return "by " + kind(f.Keys) + ": " + kind(f.Values)
	case f.Kind == form.Group:
		return "group"
	case f.Kind == form.Text && len(f.Alternatives()) > 0:
		return strings.Join(f.Alternatives(), ", ")
	case f.Kind == form.Text:
		return "text"
	}
	return valueOf(f)
}

// valueOf says in words which values fit.
func valueOf(f *form.Form) string {
	switch {
	case f.Kind == form.Number && f.Min != nil && f.Max != nil:
		return "number from " + strconv.FormatFloat(*f.Min, 'f', -1, 64) + " to " + strconv.FormatFloat(*f.Max, 'f', -1, 64)
	case len(f.Choices) > 0:
		return strings.Join(f.Choices, ", ")
	case f.Kind == form.Number:
		return "number"
	case f.Message != "":
		return f.Message
	case f.Kind == form.Text:
		return "text"
	}
	return f.Words()
}

// worded is what fits, and what else the schema says of it.
func worded(f *form.Form) string {
	if f.Doc == "" || f.Kind == form.Group {
		return valueOf(f)
	}
	return valueOf(f) + "; " + meaning(f.Name, undefined(f.Doc))
}

func anchor(name string) string { return strings.ToLower(name) }

// undefined takes the # of CUE away from names of definitions.
func undefined(doc string) string { return strings.ReplaceAll(doc, "#", "") }

func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<team>", "&lt;team&gt;", "<id>", "&lt;id&gt;").Replace(text)
}
