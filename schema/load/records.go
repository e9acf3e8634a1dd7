package load

import (
	"maps"
	"slices"
)

// defaultTTL is that of records whose declaration says none.
const defaultTTL = "5m"

// records turns structs by name and type into a list, and what has values or an alias of its own into its only set.
func (s *shape) records(group map[string]any) []any {
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(group)) {
		byType, _ := group[name].(map[string]any)
		for _, kind := range slices.Sorted(maps.Keys(byType)) {
			if r, is := byType[kind].(map[string]any); is {
				out = append(out, s.record("records."+name+"."+kind, name, kind, r))
			}
		}
	}
	return out
}

func (s *shape) record(path, name, kind string, r map[string]any) map[string]any {
	s.exactlyOne(path, r, "record/form", "values", "alias", "sets")
	s.duration(path+".ttl", r["ttl"])
	out := map[string]any{"name": name, "type": kind}
	if adopt, set := r["adopt"]; set {
		out["adopt"] = adopt
	}
	sets, routed := r["sets"].(map[string]any)
	if routed {
		out["sets"] = s.keyed(path+".sets", "id", sets, s.recordSet)
	} else {
		out["sets"] = []any{map[string]any{"values": r["values"], "alias": r["alias"]}}
	}
	switch ttl, set := r["ttl"]; {
	case set:
		out["ttl"] = ttl
	case hasValues(out["sets"].([]any)):
		out["ttl"] = defaultTTL
	}
	return out
}

func hasValues(sets []any) bool {
	return slices.ContainsFunc(sets, func(v any) bool { return v.(map[string]any)["values"] != nil })
}

func (s *shape) recordSet(path string, set map[string]any) {
	_, values := set["values"]
	_, alias := set["alias"]
	if values == alias {
		s.problem("record/form", path, path+" has to have either values or an alias", "write exactly one of the two")
	}
	place, located := set["geolocation"].(map[string]any)
	if !located {
		return
	}
	_, continent := place["continent"]
	_, country := place["country"]
	if _, subdivision := place["subdivision"]; continent == country || subdivision && !country {
		s.problem("record/form", path+".geolocation", path+".geolocation has to be a continent, a country, or a country with a subdivision of it", `write continent: "EU", or country: "DE"`)
	}
}
