package load

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// known is what is remembered of a unit: its result, and the service as the last platform completed it.
type known struct {
	Result
	completed schema.Service
	platform  string // its revision
}

// join puts the results of all units of a commit together. It returns what was declared, and the units' own problems.
func (l *Loader) join(files []File, names []identity, results []*known) (schema.Edge, []schema.Problem) {
	var problems []schema.Problem
	for _, r := range results {
		problems = append(problems, r.told()...)
	}
	platform := l.platformOf(names, results)
	problems = append(problems, platform.problems...)
	problems = append(problems, comparePrivate(results)...)
	if !slices.ContainsFunc(files, func(f File) bool { return strings.HasPrefix(f.Path, "platform/") }) {
		problems = append(problems, schema.Problem{Code: "platform/none", Position: schema.Position{File: "platform", Line: 1, Column: 1},
			Message: "there is no platform/ here: nothing says which teams, fleets and zones there are", Hint: "name the root of an edge-config checkout"})
	}
	edge := schema.Edge{Platform: platform.whole}
	order := make([]int, 0, len(results))
	for i, r := range results {
		if r.Service != nil {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int {
		if c := cmp.Compare(results[a].Service.ID, results[b].Service.ID); c != 0 {
			return c
		}
		return cmp.Compare(results[a].Source.File, results[b].Source.File)
	})
	edge.Services = make([]schema.Service, len(order))
	l.mu.Lock()
	for n, i := range order {
		edge.Services[n] = results[i].complete(edge.Platform, names[i])
	}
	l.mu.Unlock()
	return edge, append(problems, dropTwins(&edge)...)
}

// platforms is how many joined platforms are remembered: that of the branch, and those of a few pulls that change it.
const platforms = 4

// platformOf is what the files of platform/ declare together. It is remembered, as most commits leave it as it was.
func (l *Loader) platformOf(names []identity, results []*known) partial {
	hash := sha256.New()
	for i, r := range results {
		if r.Platform != nil {
			hash.Write([]byte(names[i].String()))
		}
	}
	revision := hex.EncodeToString(hash.Sum(nil)[:16])
	l.mu.Lock()
	defer l.mu.Unlock()
	if p, known := l.platforms[revision]; known {
		return p
	}
	var parts []Result
	for _, r := range results {
		if r.Platform != nil {
			parts = append(parts, r.Result)
		}
	}
	p := joined(parts)
	p.whole.Revision = revision
	if l.platforms == nil || len(l.platforms) >= platforms {
		l.platforms = map[string]partial{}
	}
	l.platforms[revision] = p
	return p
}

// comparePrivate finds hidden fields and definitions of one name in files that lie side by side: here each file is read on its own, but
// CUE takes a folder for one package and would join the two.
func comparePrivate(results []*known) []schema.Problem {
	var problems []schema.Problem
	first := map[string]schema.Position{} // by folder and name
	for _, r := range results {
		for _, name := range slices.Sorted(maps.Keys(r.Private)) {
			at, key := r.Private[name], path.Dir(r.Source.File)+" "+name
			other, twice := first[key]
			if !twice {
				first[key] = at
				continue
			}
			id, _ := ServiceOf(r.Source.File)
			problems = append(problems, schema.Problem{Code: "file/private", Holds: schema.Holding(id), Position: at, Also: []schema.Position{other},
				Message: fmt.Sprintf("%s is declared here and in %s: CUE takes the files of a folder for one", name, other.File),
				Hint:    "rename one of the two, or declare it once, in shared.cue"})
		}
	}
	return problems
}

// told are the problems of one unit.
func (k *known) told() []schema.Problem {
	if !k.Library {
		return k.Problems
	}
	problems := slices.Clone(k.Problems)
	for i := range problems {
		problems[i].Unused = true
	}
	return problems
}

// complete is the service with the platform's defaults.
func (k *known) complete(p schema.Platform, name identity) schema.Service {
	if k.platform != p.Revision {
		s := *k.Service
		s.Source = k.Source
		k.completed, k.platform = p.Complete(s), p.Revision
		k.completed.Revision = p.Revision + " " + name.String()
	}
	return k.completed
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
func dropTwins(edge *schema.Edge) []schema.Problem {
	var problems []schema.Problem
	edge.Services = slices.CompactFunc(edge.Services, func(a, b schema.Service) bool {
		if a.ID != b.ID {
			return false
		}
		problems = append(problems, schema.Problem{
			Code: "service/duplicate", Holds: schema.Holding(b.ID), Position: b.Source.Find(""), Also: []schema.Position{a.Source.Find("")},
			Message: "service " + string(b.ID) + " is declared twice, here and in " + a.Source.File,
			Hint:    "an id is unique in the whole edge: rename one of the two",
		})
		return true
	})
	return problems
}

// once joins what several services have from one place, as a shared file: it is told once, in the words of the first of them.
func once(problems []schema.Problem) []schema.Problem {
	type place struct {
		code schema.Code
		at   schema.Position
		nth  int // of its service, at this place
	}
	type asked struct {
		code schema.Code
		at   schema.Position
		id   schema.ServiceID
	}
	counts, first := map[asked]int{}, map[place]int{}
	var out []schema.Problem
	for _, p := range problems {
		if len(p.Holds) != 1 {
			out = append(out, p)
			continue
		}
		a := asked{p.Code, p.Position, p.Holds[0]}
		key := place{p.Code, p.Position, counts[a]}
		counts[a]++
		if at, told := first[key]; told {
			if len(out[at].Holds) == 1 {
				out[at].Holds = slices.Clone(out[at].Holds)
			}
			out[at].Holds = append(out[at].Holds, p.Holds[0])
			continue
		}
		first[key] = len(out)
		out = append(out, p)
	}
	for _, p := range out {
		slices.Sort(p.Holds)
	}
	return out
}
