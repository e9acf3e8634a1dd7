package policy

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/schema"
)

// Most rules are held, with their exact words, by the corpus of schema/load; here are the bounds that would need large files.
func TestBounds(t *testing.T) {
	platform := schema.Platform{
		Name:   "acme",
		Teams:  []schema.Team{{ID: "jira", Name: "Jira", Domains: []schema.Hostname{"jira.acme.example"}}},
		Fleets: []schema.Fleet{{ID: "edge", Listeners: []schema.Listener{{Exposure: "public", Port: 443}}, Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}},
		Zones:  []schema.Zone{{Name: "acme.example", Exposure: "public"}},
	}
	for _, c := range []struct {
		name  string
		route schema.Route
		want  schema.Code // empty: no problem
	}{
		{"a regex that fits", schema.Route{Name: "r", Match: schema.Match{Path: schema.Regex(strings.Repeat("a", maxProgram-4))}, Action: schema.Respond{Status: 200}}, ""},
		{"a regex that does not", schema.Route{Name: "r", Match: schema.Match{Path: schema.Regex(strings.Repeat("a", maxProgram-3))}, Action: schema.Respond{Status: 200}}, "route/regex"},
		{"a regex that is too long to be looked at", schema.Route{Name: "r", Match: schema.Match{Path: schema.Regex(strings.Repeat("()", maxRegex))}, Action: schema.Respond{Status: 200}}, "route/regex"},
		{"a path that fits", schema.Route{Name: "r", Match: schema.Match{Path: schema.Prefix("/" + strings.Repeat("a", maxPath-1))}, Action: schema.Respond{Status: 200}}, ""},
		{"a path that does not", schema.Route{Name: "r", Match: schema.Match{Path: schema.Exact("/" + strings.Repeat("a", maxPath))}, Action: schema.Respond{Status: 200}}, "route/path"},
		{"a redirect that does not fit", schema.Route{Name: "r", Match: schema.Match{Path: schema.Exact("/")}, Action: schema.Redirect{Path: "/" + strings.Repeat("a", maxPath), Code: 302}}, "route/redirect"},
		{"a body that fits", schema.Route{Name: "r", Action: schema.Respond{Status: 200, Body: strings.Repeat("a", maxBody)}}, ""},
		{"a body that does not", schema.Route{Name: "r", Action: schema.Respond{Status: 200, Body: strings.Repeat("a", maxBody+1)}}, "route/respond"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := schema.Service{ID: "jira-web", Owner: schema.Owner{Team: "jira", OnCall: "#jira"}, Hosts: []schema.Hostname{"jira.acme.example"}, Exposure: "public", Fleet: "edge",
				Routes: []schema.Route{c.route}}
			problems := new(Checker).Check(schema.Edge{Platform: platform, Services: []schema.Service{s}}, schema.Date{}, nil).Problems
			if c.want == "" && len(problems) > 0 || c.want != "" && (len(problems) != 1 || problems[0].Code != c.want) {
				t.Errorf("problems %v, want %q", problems, c.want)
			}
		})
	}
}
