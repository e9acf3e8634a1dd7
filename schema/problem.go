package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a declaration. Line and Column count from 1; 0 means unknown.
type Position struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String is file:line:column, without the parts that are unknown.
func (p Position) String() string {
	switch {
	case p.File == "":
		return "-"
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// Source tells where each part of a declaration was written. Paths are as an author says them: hosts[0], routes[2].forward.
type Source struct {
	File  string              `json:"file"`
	At    map[string]Position `json:"at,omitempty"`
	Parts []Source            `json:"parts,omitempty"` // files whose places are not in At, as they are many; the first one that has a path tells
}

// Find is the position of a path, or of the nearest parent that has one, or the file.
func (s Source) Find(path string) Position {
	for path != "" {
		if p, ok := s.at(path); ok {
			return p
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	if p, ok := s.At[""]; ok {
		return p
	}
	return Position{File: s.File}
}

func (s Source) at(path string) (Position, bool) {
	if p, ok := s.At[path]; ok {
		return p, true
	}
	for _, part := range s.Parts {
		if p, ok := part.At[path]; ok {
			return p, true
		}
	}
	return Position{}, false
}

// Code names a kind of problem, for example "host/duplicate". Codes are stable.
type Code string

// Problem is a fault in a declaration, for its author.
type Problem struct {
	Code     Code        `json:"code"`
	Position Position    `json:"position"`
	Path     string      `json:"path,omitempty"`   // in the author's words: services.jira-web.routes[0].match
	Message  string      `json:"message"`          // one sentence, no final dot
	Hint     string      `json:"hint,omitempty"`   // what to try
	Line     string      `json:"line,omitempty"`   // the text of the line
	Holds    []ServiceID `json:"holds,omitempty"`  // the services that stay as they are because of it, in order; none: everything (platform, schema)
	Also     []Position  `json:"also,omitempty"`   // other places that take part, for example who holds the clashing name
	Unused   bool        `json:"unused,omitempty"` // in a package or shared file: it holds nobody by itself
}

// Holding is for Problem.Holds: one service, or none when there is no id.
func Holding(id ServiceID) []ServiceID {
	if id == "" {
		return nil
	}
	return []ServiceID{id}
}

// OfPlatform tells whether a problem holds everything.
func (p Problem) OfPlatform() bool { return len(p.Holds) == 0 && !p.Unused }

// Held names the services that a problem holds, but no more than most.
func (p Problem) Held(most int) string {
	var names []string
	for i, id := range p.Holds {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(p.Holds)-i))
			break
		}
		names = append(names, string(id))
	}
	return strings.Join(names, ", ")
}

// Concerns tells whether a problem holds a service.
func (p Problem) Concerns(id ServiceID) bool { return slices.Contains(p.Holds, id) }

// String is one line: position, message and code.
func (p Problem) String() string {
	return fmt.Sprintf("%s: %s [%s]", p.Position, p.Message, p.Code)
}

// SortProblems orders by file, line, column, code and message, so that every run tells the same.
func SortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(a.Position.File, b.Position.File),
			cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Message, b.Message),
		)
	})
}
