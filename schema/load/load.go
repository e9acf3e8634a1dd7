// Package load reads declarations, files of CUE, into the nouns of schema. It is the only importer of CUE.
//
// It is pure, so that the confined process that evaluates untrusted files runs this very code; it reads no files itself, and it
// does not judge declarations together: schema/policy does.
package load

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/policy"
)

// File is one file of edge-config. Path is relative to its root, with slashes.
type File struct {
	Path  string `json:"path"`
	Data  []byte `json:"data"`
	Hash  string `json:"-"` // of Data, where it is known already, as from git; equal hashes mean equal data
	Unfit string `json:"-"` // why it could not be read; then there is no Data
}

// Result is what one file declares: a service, a part of the platform, or problems.
type Result struct {
	Service  *schema.Service  `json:"service,omitempty"`
	Platform *schema.Platform `json:"platform,omitempty"`
	Source   schema.Source    `json:"source"`
	Problems []schema.Problem `json:"problems,omitempty"`
	Library  bool             `json:"library,omitempty"` // nothing is declared: others use it
}

// Evaluator evaluates units, one result per unit, in order. An error means that nothing could be evaluated; what is wrong with a
// unit is a problem in its result. Trusted evaluates in this process; untrusted units go to a confined one.
type Evaluator interface {
	Evaluate(ctx context.Context, units []Unit) ([]Result, error)
}

// Commit is all that the files of one commit declare. Services with problems of their own are in Edge where they could be read.
type Commit struct {
	Edge     schema.Edge
	Problems []schema.Problem // sorted
}

// Join puts the results of all units of a commit together and judges them by the rules.
func Join(files []File, results []Result, problems ...schema.Problem) Commit {
	c := Commit{Problems: problems}
	platform := partial{}
	for _, r := range results {
		for _, p := range r.Problems {
			p.Unused = r.Library
			c.Problems = append(c.Problems, p)
		}
		switch {
		case r.Service != nil:
			s := *r.Service
			s.Source = r.Source
			c.Edge.Services = append(c.Edge.Services, s)
		case r.Platform != nil:
			platform.add(*r.Platform, r.Source)
		}
	}
	c.Edge.Platform = platform.whole
	if !slices.ContainsFunc(files, func(f File) bool { return strings.HasPrefix(f.Path, "platform/") }) {
		platform.problems = append(platform.problems, schema.Problem{Code: "platform/none", Position: schema.Position{File: "platform", Line: 1, Column: 1},
			Message: "there is no platform/ here: nothing says which teams, fleets and zones there are", Hint: "name the root of an edge-config checkout"})
	}
	c.Problems = append(c.Problems, platform.problems...)
	slices.SortFunc(c.Edge.Services, func(a, b schema.Service) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Source.File, b.Source.File))
	})
	c.Problems = append(c.Problems, c.dropTwins()...)
	if len(platform.problems) == 0 && !slices.ContainsFunc(c.Problems, schema.Problem.OfPlatform) {
		c.Problems = append(c.Problems, policy.Check(c.Edge)...)
	}
	c.Problems = withoutUnusedTwins(c.Problems)
	quote(c.Problems, files)
	schema.SortProblems(c.Problems)
	return c
}

// withoutUnusedTwins leaves out what a library is told where the services that use it are told the same.
func withoutUnusedTwins(problems []schema.Problem) []schema.Problem {
	used := map[schema.Position]bool{}
	for _, p := range problems {
		if !p.Unused {
			used[p.Position] = true
		}
	}
	return slices.DeleteFunc(problems, func(p schema.Problem) bool { return p.Unused && used[p.Position] })
}

// dropTwins keeps the first of services that have the same ID, in two teams' folders.
func (c *Commit) dropTwins() []schema.Problem {
	var problems []schema.Problem
	c.Edge.Services = slices.CompactFunc(c.Edge.Services, func(a, b schema.Service) bool {
		if a.ID != b.ID {
			return false
		}
		problems = append(problems, schema.Problem{
			Code: "service/duplicate", Service: b.ID, Position: b.Source.Find(""), Also: []schema.Position{a.Source.Find("")},
			Message: "service " + string(b.ID) + " is declared twice, here and in " + a.Source.File,
			Hint:    "an id is unique in the whole edge: rename one of the two",
		})
		return true
	})
	return problems
}

// quote fills in the text of the lines that problems speak of.
func quote(problems []schema.Problem, files []File) {
	lines := map[string][]string{}
	for i, p := range problems {
		if p.Line != "" || p.Position.Line == 0 {
			continue
		}
		if _, split := lines[p.Position.File]; !split {
			at := slices.IndexFunc(files, func(f File) bool { return f.Path == p.Position.File })
			if at < 0 {
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

// ServiceOf is the service that services/<team>/<id>.cue declares, and its team. Of any other file, and of one that is shared or holds
// constraints, both are empty.
func ServiceOf(file string) (schema.ServiceID, schema.TeamID) {
	parts := strings.Split(file, "/")
	if len(parts) != 3 || parts[0] != "services" || path.Ext(file) != ".cue" || parts[2] == sharedFile || parts[2] == constraintsFile {
		return "", ""
	}
	return schema.ServiceID(strings.TrimSuffix(parts[2], ".cue")), schema.TeamID(parts[1])
}
