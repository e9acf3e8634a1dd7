package load

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// partial is the platform as far as its files were read.
type partial struct {
	whole    schema.Platform
	named    schema.Position
	problems []schema.Problem
}

// add joins what one file declares. Each name is declared once: what stands in two files is a problem of the platform.
func (p *partial) add(part schema.Platform, source schema.Source) {
	if p.whole.Source.At == nil {
		p.whole.Source = schema.Source{File: source.File, At: map[string]schema.Position{"": {File: source.File, Line: 1, Column: 1}}}
	}
	if part.Name != "" {
		if p.whole.Name != "" {
			p.twice("name", source, p.named)
		}
		p.whole.Name, p.named = part.Name, source.Find("name")
	}
	for _, t := range part.Teams {
		p.once("teams."+string(t.ID), source)
	}
	for _, f := range part.Fleets {
		p.once("fleets."+string(f.ID), source)
	}
	for _, z := range part.Zones {
		p.once("zones."+string(z.Name), source)
	}
	p.whole.Teams = merge(p.whole.Teams, part.Teams, func(t schema.Team) schema.TeamID { return t.ID })
	p.whole.Fleets = merge(p.whole.Fleets, part.Fleets, func(f schema.Fleet) schema.FleetID { return f.ID })
	p.whole.Zones = merge(p.whole.Zones, part.Zones, func(z schema.Zone) schema.Hostname { return z.Name })
	for path, at := range source.At {
		if _, known := p.whole.Source.At[path]; !known {
			p.whole.Source.At[path] = at
		}
	}
}

func (p *partial) once(path string, source schema.Source) {
	if at, known := p.whole.Source.At[path]; known {
		p.twice(path, source, at)
	}
}

func (p *partial) twice(path string, source schema.Source, first schema.Position) {
	p.problems = append(p.problems, schema.Problem{
		Code: "platform/duplicate", Position: source.Find(path), Path: path, Also: []schema.Position{first},
		Message: fmt.Sprintf("%s is declared twice, here and at %s", path, first),
		Hint:    "keep one of the two",
	})
}

func merge[T any, K cmp.Ordered](a, b []T, key func(T) K) []T {
	all := append(slices.Clone(a), b...)
	slices.SortStableFunc(all, func(x, y T) int { return cmp.Compare(key(x), key(y)) })
	return slices.CompactFunc(all, func(x, y T) bool { return key(x) == key(y) })
}
