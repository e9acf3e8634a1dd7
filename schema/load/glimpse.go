package load

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// glimpse is what can be read of a service that is faulty, so that the rules can be asked about the rest of it in the same run. Routes
// and backends that cannot be read are left blank, but for their names: all others keep their places. Nothing takes effect of it.
func glimpse(tree map[string]any, faults []schema.Problem) *schema.Service {
	for _, f := range faults {
		if f.Code == "field/unknown" && !strings.Contains(f.Path, ".") {
			return nil // who knows what was meant to be there
		}
	}
	if tree == nil {
		return nil
	}
	for _, f := range faults {
		prune(tree, f.Path)
	}
	var s schema.Service
	into(tree["owner"], &s.Owner)
	into(tree["tier"], &s.Tier)
	into(tree["exposure"], &s.Exposure)
	into(tree["fleet"], &s.Fleet)
	s.Hosts = each(tree["hosts"], schema.Hostname(""))
	s.Waivers = each(tree["waivers"], schema.Waiver{})
	for _, b := range list[map[string]any](tree["backends"]) {
		id, _ := b["id"].(string)
		s.Backends = append(s.Backends, each([]any{b}, schema.Backend{ID: schema.BackendID(id)})...)
	}
	s.Routes = each(tree["routes"], schema.Route{})
	return &s
}

// prune takes the value at a path away, where it is a field that others can do without.
func prune(tree map[string]any, path string) {
	way := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) })
	var at any = tree
	for i, step := range way {
		switch in := at.(type) {
		case map[string]any:
			if i == len(way)-1 && i > 0 {
				delete(in, step)
			}
			at = in[step]
		case []any:
			n, err := strconv.Atoi(step)
			if err != nil { // a list that is a group in the declaration
				n = slices.IndexFunc(in, func(item any) bool { b, _ := item.(map[string]any); return b["id"] == step })
			}
			if n < 0 || n >= len(in) {
				return
			}
			at = in[n]
		default:
			return
		}
	}
}

// into reads a value where that is possible.
func into[T any](v any, t *T) {
	var read T
	if data, err := json.Marshal(v); err == nil && json.Unmarshal(data, &read) == nil {
		*t = read
	}
}

// each reads the items of a list; what cannot be read is blank.
func each[T any](v any, blank T) []T {
	items, _ := v.([]any)
	out := make([]T, len(items))
	for i, item := range items {
		out[i] = blank
		into(item, &out[i])
	}
	return out
}

// glanced are the rules that a faulty service is held to: those about what is there, not about what is missing or follows from the whole.
// Each needs some other fields to be sound.
var glanced = map[schema.Code][]string{
	"backend/local":     nil,
	"header/both":       nil,
	"header/reserved":   nil,
	"host/domain":       {"owner", "owner.team"},
	"host/duplicate":    nil,
	"host/length":       nil,
	"host/protected":    nil,
	"host/twice":        nil,
	"host/wildcard":     {"owner", "owner.team"},
	"host/zone":         {"exposure"},
	"fleet/unknown":     nil,
	"owner/team":        nil,
	"redirect/dangling": nil,
	"route/backend":     {"backends"},
	"route/name":        nil,
	"route/regex":       nil,
	"route/weight":      nil,
	"service/tier":      nil,
}

// glance asks the rules about what can be read of a faulty service.
func (l *Loader) glance(p schema.Platform, k *known) []schema.Problem {
	s := *k.Glimpse
	s.Source = k.Source
	var out []schema.Problem
	for _, told := range l.rules.Glance(p, p.Complete(s), l.today()) {
		needs, asked := glanced[told.Code]
		path := strings.TrimPrefix(told.Path, "services."+string(s.ID)+".")
		if asked && !slices.ContainsFunc(k.Problems, func(f schema.Problem) bool {
			at := strings.TrimPrefix(f.Path, "services."+string(s.ID)+".")
			return related(at, path) || slices.Contains(needs, at)
		}) {
			out = append(out, told)
		}
	}
	return out
}

// related tells whether one of two paths leads to the other, or they are the same.
func related(a, b string) bool {
	return a == b || leads(a, b) || leads(b, a)
}

func leads(a, b string) bool {
	return strings.HasPrefix(b, a+".") || strings.HasPrefix(b, a+"[")
}
