package reconciler

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

var zoneNames = []string{"acme.example", "shop.example", "acme.internal"}

// declarations are what the branch says. They are values: an edit makes new ones.
type declarations struct {
	services map[schema.ServiceID]declaration
	fleets   map[schema.FleetID]int // ttl in seconds
	broken   map[schema.ServiceID]bool
	records  map[schema.Hostname]extra // the platform's own, by name
	checks   map[schema.HealthCheckID]int

	drift     schema.DriftMode         // the platform's default
	protected map[schema.Hostname]bool // names that go by the exact count only
	quota     int                      // of quotaZone; 0: what AWS gives everybody
}

// extra is a record of the platform: its form, and a number that its values are made of.
type extra struct {
	form  string // one of forms
	n     int
	check schema.HealthCheckID // that a weighted one names; empty: none
}

// forms are those in which the platform declares a name. One cannot stand beside another.
var forms = []string{"A", "CNAME", "TXT", "weighted", "NS"}

type declaration struct {
	hosts    []schema.Hostname
	exposure schema.Exposure
	fleet    schema.FleetID
	text     int
	drift    schema.DriftMode // empty: the platform's default
}

// revision is a commit of the branch.
type revision struct {
	commit Commit
	decl   declarations
	pull   int // that it came from; 0: none
}

// proposal is an open pull.
type proposal struct {
	number int
	edit   func(declarations) declarations
	shown  *state.Plan // as it stands on the pull
}

func (s *sim) tip() revision { return s.branch[len(s.branch)-1] }

func (d declarations) clone() declarations {
	out := d
	out.services, out.fleets, out.broken = map[schema.ServiceID]declaration{}, maps.Clone(d.fleets), maps.Clone(d.broken)
	out.records, out.checks, out.protected = maps.Clone(d.records), maps.Clone(d.checks), maps.Clone(d.protected)
	for id, x := range d.services {
		x.hosts = slices.Clone(x.hosts)
		out.services[id] = x
	}
	return out
}

func (d declarations) mended() declarations {
	out := d.clone()
	clear(out.broken)
	return out
}

func exposureOf(zone string) schema.Exposure {
	if zone == "acme.internal" {
		return schema.Internal
	}
	return schema.Public
}

// free are the host names of a zone that no service has.
func (d declarations) free(zone string) []schema.Hostname {
	var out []schema.Hostname
	for i := range 16 {
		h := schema.Hostname(fmt.Sprintf("h%d.%s", i, zone))
		if !slices.ContainsFunc(sortedKeys(d.services), func(id schema.ServiceID) bool { return slices.Contains(d.services[id].hosts, h) }) {
			out = append(out, h)
		}
	}
	return out
}

func (s *sim) firstDeclarations() declarations {
	d := declarations{services: map[schema.ServiceID]declaration{}, fleets: map[schema.FleetID]int{"edge": 5 + s.IntN(60), "two": 5 + s.IntN(60)}, broken: map[schema.ServiceID]bool{},
		records: map[schema.Hostname]extra{}, checks: map[schema.HealthCheckID]int{}, protected: map[schema.Hostname]bool{}}
	for range 20 + s.IntN(4) {
		d = s.newService()(d)
	}
	for range 3 {
		d = s.platformEdit()(d)
	}
	for range 2 {
		d = s.protectEdit()(d)
	}
	return d
}

// extraName is the n-th name that the platform may have in a zone.
func extraName(n int, zone string) schema.Hostname {
	return schema.Hostname(fmt.Sprintf("p%d.%s", n, zone))
}

// platformEdit is a record of the platform that comes, changes, takes another form, or goes.
func (s *sim) platformEdit() func(declarations) declarations {
	name, goes, form, n := extraName(s.IntN(5), zoneNames[s.IntN(len(zoneNames))]), s.chance(1, 4), forms[s.IntN(len(forms))], s.IntN(100)
	return func(d declarations) declarations {
		out := d.clone()
		old, there := d.records[name]
		switch {
		case there && goes:
			s.count("platform record goes")
			delete(out.records, name)
			return out
		case there && old.form != form:
			s.count("platform record takes another form")
		}
		x := extra{form: form, n: n}
		if form == "weighted" {
			x.check = old.check
		}
		out.records[name] = x
		return out
	}
}

// record is what the platform declares for a name.
func (x extra) record(name schema.Hostname) schema.Record {
	r := schema.Record{Name: name, Type: x.form, TTL: schema.Duration(10+x.n) * schema.Duration(time.Second), Sets: []schema.RecordSet{{Values: []string{fmt.Sprintf("198.51.100.%d", x.n)}}}}
	switch x.form {
	case "CNAME":
		r.Sets[0].Values = []string{fmt.Sprintf("c%d.elsewhere.test", x.n)}
	case "NS":
		r.Sets[0].Values = []string{fmt.Sprintf("ns%d.elsewhere.test", x.n)}
	case "TXT":
		r.Sets[0].Values = []string{fmt.Sprint("text ", x.n)}
	case "weighted":
		r.Type = "A"
		for i := range 1 + x.n%3 {
			one := schema.RecordSet{ID: fmt.Sprint("set", i), Values: []string{fmt.Sprintf("198.51.100.%d", x.n+i)}, Routing: schema.Routing{Weight: new(x.n + i)}, HealthCheck: x.check}
			r.Sets = append(r.Sets[:i:i], one)
		}
	}
	return r
}

func (s *sim) newService() func(declarations) declarations {
	s.serial++
	id, zone, pick, fleet := schema.ServiceID(fmt.Sprintf("s%d", s.serial)), zoneNames[s.IntN(len(zoneNames))], s.IntN(100), schema.FleetID("edge")
	if s.chance(1, 3) {
		fleet = "two"
	}
	return func(d declarations) declarations {
		out := d.clone()
		if free := d.free(zone); len(free) > 0 {
			out.services[id] = declaration{hosts: []schema.Hostname{free[pick%len(free)]}, exposure: exposureOf(zone), fleet: fleet}
		}
		return out
	}
}

// massacre takes half of the services away.
func (s *sim) massacre() func(declarations) declarations {
	from := s.IntN(2)
	return func(d declarations) declarations {
		out := d.mended()
		for i, id := range sortedKeys(d.services) {
			if i%2 == from {
				delete(out.services, id)
			}
		}
		return out
	}
}

// anyEdit is a change that can be made to any declarations.
func (s *sim) anyEdit() func(declarations) declarations {
	kind, a, b, c := s.IntN(31), s.IntN(1000), s.IntN(1000), s.IntN(1000)
	switch {
	case kind < 4:
		return s.newService()
	case kind >= 30:
		return s.quotaEdit()
	case kind >= 29:
		return s.protectEdit()
	case kind >= 27:
		return s.driftEdit()
	case kind >= 24:
		return s.checkEdit()
	case kind >= 20:
		return s.platformEdit()
	}
	pick := func(d declarations, n int) schema.ServiceID {
		ids := sortedKeys(d.services)
		if len(ids) == 0 {
			return ""
		}
		return ids[n%len(ids)]
	}
	return func(d declarations) declarations {
		out := d.mended()
		id := pick(d, a)
		x, there := out.services[id]
		if !there {
			return out
		}
		switch {
		case kind < 7:
			s.count("service goes")
			delete(out.services, id)
			return out
		case kind < 9: // another name
			zone := zoneNames[b%len(zoneNames)]
			if free := d.free(zone); len(free) > 0 && exposureOf(zone) == x.exposure {
				x.hosts = append(x.hosts, free[c%len(free)])
			}
		case kind < 11: // a name less
			if len(x.hosts) > 1 {
				x.hosts = slices.Delete(x.hosts, b%len(x.hosts), b%len(x.hosts)+1)
			}
		case kind < 14: // a name moves
			to := pick(d, b)
			if y := out.services[to]; to != id && y.exposure == x.exposure {
				s.count("name moves")
				i := c % len(x.hosts)
				y.hosts = append(y.hosts, x.hosts[i])
				x.hosts = slices.Delete(x.hosts, i, i+1)
				out.services[to] = y
				if len(x.hosts) == 0 {
					delete(out.services, id)
					return out
				}
			}
		case kind < 16:
			s.count("service changes its fleet")
			x.fleet = map[schema.FleetID]schema.FleetID{"edge": "two", "two": "edge"}[x.fleet]
		case kind < 17:
			s.count("fleet changes its ttl")
			out.fleets["edge"] = 5 + b%60
		case kind < 18:
			out.broken[id] = true
		default:
			x.text = b
		}
		out.services[id] = x
		return out
	}
}

func (d declarations) platform() schema.Platform {
	p := schema.Platform{Name: "acme", Teams: []schema.Team{{ID: theTeam}}}
	for _, id := range []schema.FleetID{"edge", "two"} {
		p.Fleets = append(p.Fleets, schema.Fleet{ID: id, Listeners: []schema.Listener{{Exposure: schema.Internal, Port: 8081}, {Exposure: schema.Public, Port: 8080}},
			Addresses: []netip.Addr{netip.MustParseAddr(addressOf[id])}, TTL: schema.Duration(d.fleets[id]) * schema.Duration(time.Second)})
	}
	for _, z := range zoneNames {
		zone := schema.Zone{Name: schema.Hostname(z), Exposure: exposureOf(z), Account: accountOf(z)}
		if z == quotaZone {
			zone.Quota = d.quota
		}
		p.Zones = append(p.Zones, zone)
	}
	p.Accounts, p.Defaults.All.Drift = []schema.Account{{ID: secondAccount, Role: secondRole}}, d.drift
	p.Protected = map[schema.Hostname]schema.Protected{}
	for name := range d.protected {
		p.Protected[name] = schema.Protected{Reason: "it is the front door"}
	}
	for _, name := range sortedKeys(d.records) {
		p.Records = append(p.Records, d.records[name].record(name))
	}
	p.HealthChecks = d.healthChecks()
	slices.SortFunc(p.Zones, func(a, b schema.Zone) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return p
}

var addressOf = map[schema.FleetID]string{"edge": "192.0.2.10", "two": "192.0.2.20"}

func (d declarations) service(id schema.ServiceID) schema.Service {
	x := d.services[id]
	return schema.Service{ID: id, Owner: schema.Owner{Team: theTeam}, Source: schema.Source{File: fileOf(id)}, Hosts: x.hosts, Exposure: x.exposure, Fleet: x.fleet, Drift: x.drift,
		Routes: []schema.Route{{Name: "all", Action: schema.Respond{Status: 200, Body: fmt.Sprint(id, " ", x.text)}}}}
}

func fileOf(id schema.ServiceID) string { return fmt.Sprintf("services/%s/%s.cue", theTeam, id) }

// load is what evaluating the declarations gives.
func (d declarations) load() (load.Commit, Tree) {
	c := load.Commit{Edge: schema.Edge{Platform: d.platform()}}
	var files []load.File
	for _, id := range sortedKeys(d.services) {
		path := fileOf(id)
		files = append(files, load.File{Path: path, Data: fmt.Appendf(nil, "%+v %v", d.services[id], d.broken[id])})
		if d.broken[id] {
			c.Unread = append(c.Unread, load.File{Path: path, Data: fmt.Appendf(nil, "%v", d.services[id].hosts)})
			c.Problems = append(c.Problems, schema.Problem{Code: "cue/syntax", Holds: schema.Holding(id), Position: schema.Position{File: path, Line: 1, Column: 1}, Message: "this is not CUE"})
			continue
		}
		c.Edge.Services = append(c.Edge.Services, d.service(id))
	}
	files = append(files, load.File{Path: "platform/p.cue", Data: fmt.Appendf(nil, "%v %v %v %v %v %v", d.fleets, d.records, d.checks, d.drift, d.protected, d.quota)})
	return c, TreeOf(files)
}
