package load

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// partial is the platform as far as its files were read.
type partial struct {
	whole    schema.Platform
	declared map[string]schema.Position // where a name stands that one file only may have, but for those of records
	problems []schema.Problem
}

// manyPlaces is from how many on the places of a file are left where they are: records may be thousands.
const manyPlaces = 256

// joined is the platform of all its parts.
func joined(parts []Result) partial {
	p := partial{declared: map[string]schema.Position{}}
	p.whole.Source.At = map[string]schema.Position{}
	for _, r := range parts {
		p.add(*r.Platform, r.Source)
	}
	p.sort()
	p.recordsOnce(parts)
	return p
}

// add joins what one file declares. Each name is declared once: what stands in two files is a problem of the platform.
func (p *partial) add(part schema.Platform, source schema.Source) {
	if p.whole.Source.File == "" {
		p.whole.Source.File, p.whole.Source.At[""] = source.File, schema.Position{File: source.File, Line: 1, Column: 1}
	}
	for _, path := range names(part) {
		p.once(path, source)
	}
	p.whole.Name = cmp.Or(part.Name, p.whole.Name)
	w := &p.whole
	w.Teams = merge(w.Teams, part.Teams, func(t schema.Team) schema.TeamID { return t.ID })
	w.Fleets = merge(w.Fleets, part.Fleets, func(f schema.Fleet) schema.FleetID { return f.ID })
	w.Zones = merge(w.Zones, part.Zones, func(z schema.Zone) schema.Hostname { return z.Name })
	w.Accounts = merge(w.Accounts, part.Accounts, func(a schema.Account) schema.AccountID { return a.ID })
	w.Records = append(w.Records, part.Records...)
	w.HealthChecks = merge(w.HealthChecks, part.HealthChecks, func(c schema.DNSHealthCheck) schema.HealthCheckID { return c.ID })
	w.Protected, w.Rules, w.Deprecated = join(w.Protected, part.Protected), join(w.Rules, part.Rules), join(w.Deprecated, part.Deprecated)
	w.Freezes = join(w.Freezes, part.Freezes)
	d := &w.Defaults
	d.Tier, d.Exposure, d.Fleet = join(d.Tier, part.Defaults.Tier), join(d.Exposure, part.Defaults.Exposure), join(d.Fleet, part.Defaults.Fleet)
	if !reflect.ValueOf(part.Defaults.All).IsZero() {
		d.All = part.Defaults.All
	}
	if part.Limits != (schema.Limits{}) {
		w.Limits = part.Limits
	}
	if part.Quotas != (schema.Quotas{}) {
		w.Quotas = part.Quotas
	}
	if part.Deletions != (schema.Deletions{}) {
		w.Deletions = part.Deletions
	}
	w.Approvers = append(w.Approvers, part.Approvers...)
	if len(source.At) >= manyPlaces {
		w.Source.Parts = append(w.Source.Parts, source)
		return
	}
	for path, at := range source.At {
		if _, known := p.whole.Source.At[path]; !known {
			p.whole.Source.At[path] = at
		}
	}
}

// sort brings what was joined into its order.
func (p *partial) sort() {
	slices.SortStableFunc(p.whole.Records, func(a, b schema.Record) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Type, b.Type)) })
}

// names are the paths of what stands in one file only, but for records.
func names(part schema.Platform) []string {
	var all []string
	for _, t := range part.Teams {
		all = append(all, "teams."+string(t.ID))
	}
	for _, f := range part.Fleets {
		all = append(all, "fleets."+string(f.ID))
	}
	for _, z := range part.Zones {
		all = append(all, "zones."+string(z.Name))
	}
	for _, a := range part.Accounts {
		all = append(all, "accounts."+string(a.ID))
	}
	for _, c := range part.HealthChecks {
		all = append(all, "healthChecks."+string(c.ID))
	}
	d := part.Defaults
	return slices.Concat(all, keyed("protected.", part.Protected), keyed("rules.", part.Rules), keyed("deprecated.", part.Deprecated), keyed("freezes.", part.Freezes),
		keyed("defaults.tier.", d.Tier), keyed("defaults.exposure.", d.Exposure), keyed("defaults.fleet.", d.Fleet),
		[]string{"name", "defaults.all", "limits", "quotas", "deletions"})
}

func keyed[K ~string, V any](prefix string, m map[K]V) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, prefix+string(name))
	}
	return all
}

func (p *partial) once(path string, source schema.Source) {
	at, written := source.At[path]
	if !written {
		return
	}
	if first, known := p.declared[path]; known {
		p.twice(path, source, first)
		return
	}
	p.declared[path] = at
}

// recordsOnce does the same for records, which lie beside each other by now when they have the same name and type.
func (p *partial) recordsOnce(parts []Result) {
	for i, r := range p.whole.Records {
		if i == 0 || r.Name != p.whole.Records[i-1].Name || r.Type != p.whole.Records[i-1].Type {
			continue
		}
		if _, told := p.declared[r.Path()]; !told {
			for _, part := range parts {
				p.once(r.Path(), part.Source)
			}
		}
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

func join[K comparable, V any](a, b map[K]V) map[K]V {
	if len(a)+len(b) == 0 {
		return nil
	}
	all := make(map[K]V, len(a)+len(b))
	maps.Copy(all, b)
	maps.Copy(all, a) // the first one stands: the second is a problem
	return all
}
