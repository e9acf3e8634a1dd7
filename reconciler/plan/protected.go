package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// guardProtected vetoes what takes something protected away: a name that the platform protects, from its service or by its records, a
// delegation, or the mark by which a zone is ours.
func guardProtected(steps []Step, e schema.Edge) []Veto {
	var stopped []Step
	var why []string
	for _, s := range steps {
		if lost := protectedIn(s, e); len(lost) > 0 {
			stopped, why = append(stopped, s), append(why, lost...)
		}
	}
	if len(stopped) == 0 {
		return nil
	}
	slices.Sort(why)
	why = slices.Compact(why)
	const most = 10
	if more := len(why) - most; more > 0 {
		why = append(why[:most], fmt.Sprintf("and %d more", more))
	}
	return []Veto{veto(GuardProtected, "this would take away what is protected: "+strings.Join(why, ", "), stopped)}
}

// protectedIn says what of that which is protected a step takes away.
func protectedIn(s Step, e schema.Edge) []string {
	switch {
	case s.Key.Kind == resource.EnvoyService && s.Verb != Create:
		return protectedOf(s, e)
	case s.Key.Kind != resource.DNSRecord || s.Verb != Delete:
		return nil
	}
	kind, name, _ := strings.Cut(s.Key.Name, " ")
	host, _, _ := strings.Cut(name, " ")
	switch p, is := e.Platform.Protected[schema.Hostname(host)]; {
	case is:
		return []string{fmt.Sprintf("%s (%s)", host, p.Reason)}
	case kind == "NS":
		return []string{"the delegation of " + host}
	case kind == "TXT" && strings.HasPrefix(host, dns.MarkerPrefix):
		return []string{fmt.Sprintf("the mark of %s", s.Key.Scope)}
	}
	return nil
}

// protectedOf are the protected names that a service no longer has after a step. On its way to another fleet it keeps them.
func protectedOf(s Step, e schema.Edge) []string {
	if len(e.Platform.Protected) == 0 {
		return nil
	}
	service, _ := e.Service(schema.ServiceID(s.Key.Name))
	var lost []string
	for _, host := range serviceSpec(s.Before).Hosts {
		if p, is := e.Platform.Protected[host]; is && !slices.Contains(service.Hosts, host) {
			lost = append(lost, fmt.Sprintf("%s (%s)", host, p.Reason))
		}
	}
	return lost
}
