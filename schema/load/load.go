// Package load reads declarations, files of CUE, into the nouns of schema. It is the only importer of CUE.
//
// It is pure, so that the confined process that evaluates untrusted files runs this very code; it reads no files itself, and it
// does not judge declarations together: schema/policy does.
package load

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/edgewright/edgewright/schema"
)

// File is one file of edge-config. Path is relative to its root, with slashes.
type File struct {
	Path  string `json:"path"`
	Data  []byte `json:"data"`
	Hash  string `json:"-"` // of Data, where it is known already, as from git; equal hashes mean equal data
	Unfit string `json:"-"` // why it could not be read; then there is no Data
}

// Unread says why a file that somebody may take for a declaration is none: it lies among them and is of another language, or its name ends
// in .CUE; empty: it is one, or nobody takes it for one.
func Unread(file string) (why string) {
	ext := path.Ext(file)
	if declares(file) && strings.HasSuffix(strings.ToLower(file), ".cue.txt") {
		return "its name ends in .cue.txt"
	}
	if declares(file) && ext != ".cue" && slices.Contains([]string{".cue", ".yaml", ".yml", ".json", ".toml"}, strings.ToLower(ext)) {
		return fmt.Sprintf("its name ends in %s", ext)
	}
	return ""
}

// Result is what one file declares: a service, a part of the platform, or problems.
type Result struct {
	Service  *schema.Service  `json:"service,omitempty"`
	Platform *schema.Platform `json:"platform,omitempty"`
	Source   schema.Source    `json:"source"`
	Problems []schema.Problem `json:"problems,omitempty"`
	Library  bool             `json:"library,omitempty"` // nothing is declared: others use it
	Glimpse  *schema.Service  `json:"glimpse,omitempty"` // what can be read of a service with problems; it takes no effect

	Private map[string]schema.Position `json:"private,omitempty"` // hidden fields and definitions at the top of the declaration
}

// none tells that a unit was not evaluated.
func (r Result) none() bool {
	return r.Service == nil && r.Platform == nil && !r.Library && len(r.Problems) == 0
}

// Evaluator evaluates units, one result per unit, in order; what is wrong with a unit is a problem in its result. With an error there
// are results only of the units that were evaluated before it. Trusted evaluates in this process; untrusted units go to a confined one.
type Evaluator interface {
	Evaluate(ctx context.Context, units []Unit) ([]Result, error)
}

// Commit is all that the files of one commit declare. Services with problems of their own are in Edge where they could be read.
type Commit struct {
	Edge     schema.Edge
	Problems []schema.Problem // sorted
	Warnings []schema.Problem // sorted; they hold nobody
	Unread   []File           // declarations of services that could not be read
}

// Mentions tells whether a service that could not be read speaks of a host name; with an empty id, whether one of them does.
func (c Commit) Mentions(id schema.ServiceID, h schema.Hostname) bool {
	return slices.ContainsFunc(c.Unread, func(f File) bool {
		declared, _ := ServiceOf(f.Path)
		return (id == "" || id == declared) && bytes.Contains(f.Data, []byte(h))
	})
}

// quote fills in the text of the lines that problems speak of, and keeps their words from steering what shows them.
func quote(problems []schema.Problem, files []File) {
	if len(problems) == 0 {
		return
	}
	byPath := make(map[string]int, len(files))
	for i := range files {
		byPath[files[i].Path] = i
	}
	lines := map[string][]string{}
	for i, p := range problems {
		tidy(&problems[i])
		if p.Line != "" || p.Position.Line == 0 {
			continue
		}
		if _, split := lines[p.Position.File]; !split {
			at, known := byPath[p.Position.File]
			if !known {
				continue
			}
			lines[p.Position.File] = strings.Split(string(files[at].Data), "\n")
		}
		if text := lines[p.Position.File]; p.Position.Line <= len(text) {
			problems[i].Line = printable(clip(strings.TrimRight(text[p.Position.Line-1], "\r\t "), 2000))
		}
	}
}

// printable keeps a line from steering the terminal or page that shows it.
func printable(line string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(line, "?"))
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// tidy makes the words of a problem, in which an author's may stand, printable and short.
func tidy(p *schema.Problem) {
	for _, text := range []*string{&p.Message, &p.Hint, &p.Path} {
		*text = short(strings.ReplaceAll(printable(*text), "\t", " "))
	}
	p.Position.File, p.Line = printable(p.Position.File), printable(clip(p.Line, 2000))
	if slices.ContainsFunc(p.Also, func(at schema.Position) bool { return at.File != printable(at.File) }) {
		p.Also = slices.Clone(p.Also) // others may have them too
		for i := range p.Also {
			p.Also[i].File = printable(p.Also[i].File)
		}
	}
}

// short leaves out the middle of what nobody would read: a name of many kilobytes.
func short(text string) string {
	const most = 1000
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most/2]+" … "+text[len(text)-most/2:], "")
}

// ServiceOf is the service that services/<team>/<id>.cue declares, and its team. Of any other file, and of one that is shared, both are
// empty.
func ServiceOf(file string) (schema.ServiceID, schema.TeamID) {
	parts := strings.Split(file, "/")
	if len(parts) != 3 || parts[0] != "services" || path.Ext(file) != ".cue" || parts[2] == sharedFile {
		return "", ""
	}
	return schema.ServiceID(strings.TrimSuffix(parts[2], ".cue")), schema.TeamID(parts[1])
}
