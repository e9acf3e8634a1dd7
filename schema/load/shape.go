package load

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/edgewright/edgewright/schema"
)

// shape turns an evaluated tree into the form of schema's types, and tells with its place what CUE lets pass: one-ofs, addresses
// and durations.
type shape struct {
	source   schema.Source
	faulty   bool // the tree is known not to have its form: it is not decoded
	problems []schema.Problem
}

func (s *shape) problem(code schema.Code, path, message, hint string) {
	s.problems = append(s.problems, schema.Problem{Code: code, Path: path, Position: s.source.Find(path), Message: message, Hint: hint})
}

func serviceFrom(tree map[string]any, source schema.Source, faulty bool) (schema.Service, []schema.Problem) {
	s := &shape{source: source, faulty: faulty || tree == nil}
	if tree == nil {
		tree = map[string]any{}
	}
	backends, _ := tree["backends"].(map[string]any)
	tree["backends"] = s.keyed("backends", "id", backends, s.backend)
	for i, r := range list[map[string]any](tree["routes"]) {
		s.route(fmt.Sprintf("routes[%d]", i), r)
	}
	for i, w := range list[map[string]any](tree["waivers"]) {
		s.date(fmt.Sprintf("waivers[%d].expires", i), w["expires"])
	}
	var out schema.Service
	s.decode(tree, &out)
	return out, s.problems
}

func platformFrom(tree map[string]any, source schema.Source, faulty bool) (schema.Platform, []schema.Problem) {
	s := &shape{source: source, faulty: faulty || tree == nil}
	if tree == nil {
		tree = map[string]any{}
	}
	none := func(string, map[string]any) {}
	for field, key := range map[string]string{"teams": "id", "fleets": "id", "zones": "name", "accounts": "id", "healthChecks": "id"} {
		group, _ := tree[field].(map[string]any)
		check := none
		switch field {
		case "fleets":
			check = s.fleet
		case "healthChecks":
			check = s.healthCheck
		}
		tree[field] = s.keyed(field, key, group, check)
	}
	records, _ := tree["records"].(map[string]any)
	tree["records"] = s.records(records)
	s.defaults(tree["defaults"])
	for _, field := range sortedKeys(tree["deprecated"]) {
		deprecation, _ := tree["deprecated"].(map[string]any)[field].(map[string]any)
		s.date("deprecated."+field+".until", deprecation["until"])
	}
	for _, name := range sortedKeys(tree["freezes"]) {
		freeze, _ := tree["freezes"].(map[string]any)[name].(map[string]any)
		s.date("freezes."+name+".from", freeze["from"])
		s.date("freezes."+name+".until", freeze["until"])
	}
	var out schema.Platform
	s.decode(tree, &out)
	return out, s.problems
}

// keyed turns a struct keyed by name into a list sorted by it.
func (s *shape) keyed(path, key string, group map[string]any, check func(path string, item map[string]any)) []any {
	out := []any{}
	for _, name := range slices.Sorted(maps.Keys(group)) {
		item, _ := group[name].(map[string]any)
		if item == nil {
			item = map[string]any{}
		}
		check(path+"."+name, item)
		item[key] = name
		out = append(out, item)
	}
	return out
}

func (s *shape) backend(path string, b map[string]any) {
	_, byAddress := b["addresses"]
	_, byName := b["dns"]
	_, port := b["port"]
	const hint = `write addresses: ["10.0.0.1:8080"], or dns: "name.example.com" and port: 8080`
	switch {
	case byAddress && (byName || port):
		s.problem("backend/location", path, path+" has both addresses and a dns name or port", hint)
	case !byAddress && !byName:
		s.problem("backend/location", path, path+" has neither addresses nor a dns name", hint)
	case byName && !port:
		s.problem("backend/location", path, path+".port is missing", "a dns name needs a port beside it")
	case byAddress && len(list[string](b["addresses"])) == 0:
		s.problem("backend/location", path+".addresses", path+".addresses is empty", "a backend has at least one address")
	}
	for i, text := range list[string](b["addresses"]) {
		if at, err := netip.ParseAddrPort(text); err != nil || at.Port() == 0 {
			where := fmt.Sprintf("%s.addresses[%d]", path, i)
			s.problem("backend/address", where, fmt.Sprintf("%s: %q is not an IP and a port", where, text), "for example 10.0.0.1:8080 or [fd00::1]:8080")
		}
	}
	if health, is := b["health"].(map[string]any); is {
		s.duration(path+".health.interval", health["interval"])
		s.duration(path+".health.timeout", health["timeout"])
	}
}

func (s *shape) route(path string, r map[string]any) {
	s.exactlyOne(path, r, "route/action", "forward", "redirect", "respond")
	if match, is := r["match"].(map[string]any); is {
		if p, is := match["path"].(map[string]any); is {
			s.exactlyOne(path+".match.path", p, "route/path", "prefix", "exact", "regex")
		}
	}
	if redirect, is := r["redirect"].(map[string]any); is {
		if _, set := redirect["code"]; !set {
			redirect["code"] = 302
		}
		_, whole := redirect["path"]
		_, prefix := redirect["prefix"]
		if whole && prefix {
			s.problem("route/redirect", path+".redirect", path+".redirect has both path and prefix", "path replaces the whole path, prefix only what was matched: keep one")
		}
	}
	forward, is := r["forward"].(map[string]any)
	if !is {
		return
	}
	s.duration(path+".forward.timeout", forward["timeout"])
	if retries, is := forward["retries"].(map[string]any); is {
		s.duration(path+".forward.retries.perTryTimeout", retries["perTryTimeout"])
	}
	to := list[map[string]any](forward["to"])
	for i, destination := range to {
		if _, weighted := destination["weight"]; weighted {
			continue
		}
		if len(to) == 1 {
			destination["weight"] = 100
			continue
		}
		where := fmt.Sprintf("%s.forward.to[%d]", path, i)
		s.problem("route/weight", where, where+".weight is missing", "every one of several destinations says its share; they sum to 100")
	}
}

func (s *shape) fleet(path string, f map[string]any) {
	s.duration(path+".ttl", f["ttl"])
	if _, set := f["ttl"]; !set {
		f["ttl"] = "60s"
	}
	for i, text := range list[string](f["addresses"]) {
		if _, err := netip.ParseAddr(text); err != nil {
			where := fmt.Sprintf("%s.addresses[%d]", path, i)
			s.problem("fleet/address", where, fmt.Sprintf("%s: %q is not an IP address", where, text), "for example 192.0.2.10 or 2001:db8::10")
		}
	}
	listeners, _ := f["listeners"].(map[string]any)
	f["listeners"] = s.keyed(path+".listeners", "exposure", listeners, s.listener)
	if certificates, is := f["certificates"].(map[string]any); is {
		f["certificates"] = s.keyed(path+".certificates", "id", certificates, func(string, map[string]any) {})
	}
}

// healthCheck fills in what AWS would.
func (s *shape) healthCheck(path string, c map[string]any) {
	for field, value := range map[string]any{"port": map[any]int{"http": 80, "https": 443}[c["type"]], "interval": "30s", "failures": 3} {
		if _, set := c[field]; !set && value != 0 {
			c[field] = value
		}
	}
	if text, is := c["address"].(string); is {
		if _, err := netip.ParseAddr(text); err != nil {
			s.problem("healthcheck/target", path+".address", fmt.Sprintf("%s.address: %q is not an IP address", path, text), "for example 192.0.2.10 or 2001:db8::10")
		}
	}
}

// defaults checks the durations of all groups of defaults.
func (s *shape) defaults(v any) {
	all, _ := v.(map[string]any)
	one := func(path string, v any) {
		d, _ := v.(map[string]any)
		health, _ := d["health"].(map[string]any)
		s.duration(path+".health.interval", health["interval"])
		s.duration(path+".health.timeout", health["timeout"])
		forward, _ := d["forward"].(map[string]any)
		s.duration(path+".forward.timeout", forward["timeout"])
		retries, _ := forward["retries"].(map[string]any)
		s.duration(path+".forward.retries.perTryTimeout", retries["perTryTimeout"])
	}
	one("defaults.all", all["all"])
	for _, group := range []string{"tier", "exposure", "fleet"} {
		for _, name := range sortedKeys(all[group]) {
			one("defaults."+group+"."+name, all[group].(map[string]any)[name])
		}
	}
}

func sortedKeys(v any) []string {
	group, _ := v.(map[string]any)
	return slices.Sorted(maps.Keys(group))
}

func (s *shape) exactlyOne(path string, in map[string]any, code schema.Code, names ...string) {
	var set []string
	for _, name := range names {
		if _, is := in[name]; is {
			set = append(set, name)
		}
	}
	choice := names[0] + ", " + names[1] + " and " + names[2]
	switch {
	case len(set) == 0:
		s.problem(code, path, fmt.Sprintf("%s has none of %s", path, choice), "write exactly one of them")
	case len(set) > 1:
		s.problem(code, path+"."+set[1], fmt.Sprintf("%s has both %s and %s", path, set[0], set[1]), "write exactly one of "+choice)
	}
}

// duration checks what the expression in the schema cannot: that the value fits, is not zero and not absurd.
func (s *shape) duration(path string, v any) {
	text, is := v.(string)
	if !is {
		return
	}
	if d, err := time.ParseDuration(text); err != nil || d < time.Millisecond || d > 24*time.Hour {
		s.problem("field/duration", path, fmt.Sprintf("%s: %s is not between 1ms and 24h", path, strconv.Quote(text)), "for example 250ms, 5s or 1m30s")
	}
}

// date checks that the calendar has the day.
func (s *shape) date(path string, v any) {
	var d schema.Date
	if text, is := v.(string); is && d.UnmarshalText([]byte(text)) != nil {
		s.problem("field/date", path, fmt.Sprintf("%s: there is no day %s", path, text), "a date is year, month and day, as 2027-01-31")
	}
}

// decode reads the tree into a type, unless something is already known to be wrong.
func (s *shape) decode(tree map[string]any, into any) {
	if len(s.problems) > 0 || s.faulty {
		return
	}
	data, err := json.Marshal(tree)
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil { // the schema and the types disagree: a fault of ours, told rather than hidden
		s.problem("schema/decode", "", "this declaration cannot be read: "+err.Error(), "report it as a bug together with the file")
	}
	slices.SortFunc(s.problems, func(a, b schema.Problem) int { return cmp.Compare(a.Path, b.Path) })
}

// list is v as a list of what it holds.
func list[T any](v any) []T {
	items, _ := v.([]any)
	out := make([]T, 0, len(items))
	for _, item := range items {
		if t, is := item.(T); is {
			out = append(out, t)
		}
	}
	return out
}
