package policy

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// What Route53 takes of a health check, in characters (API Reference, "HealthCheckConfig").
const maxHealthCheckText = 255

func (j *judgement) judgeHealthChecks() {
	for _, c := range j.platform.HealthChecks {
		at := "healthChecks." + string(c.ID)
		j.judgeTarget(at, c)
		if c.Type == "tcp" && c.Path+c.Search != "" {
			j.problem("healthcheck/form", at, fmt.Sprintf("health check %s is of type tcp and has a path or a search", c.ID), "tcp only connects: leave them out, or write type: \"http\"")
		}
		for field, text := range map[string]string{"path": c.Path, "search": c.Search} {
			if len(text) > maxHealthCheckText {
				j.problem("healthcheck/form", at+"."+field, fmt.Sprintf("%s.%s has %d characters, more than %d", at, field, len(text), maxHealthCheckText), "Route53 takes no more")
			}
		}
		j.judgeAccount("healthcheck/account", at+".account", c.Account)
	}
}

// judgeTarget looks at whom a health check asks: Route53 does so from outside ("IPAddress" of HealthCheckConfig).
func (j *judgement) judgeTarget(at string, c schema.DNSHealthCheck) {
	switch a := c.Address; {
	case !a.IsValid() && c.Host == "":
		j.problem("healthcheck/target", at, fmt.Sprintf("health check %s has nobody to ask", c.ID), "write address, or host, or both")
	case a.IsValid() && (a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()):
		j.problem("healthcheck/target", at+".address", fmt.Sprintf("%s cannot be asked from outside", a), "Route53 asks over the internet: write a public address")
	case strings.HasPrefix(string(c.Host), "*."):
		j.problem("healthcheck/target", at+".host", fmt.Sprintf("%s is a wildcard, which cannot be asked for", c.Host), "write one name")
	case c.Port == 0:
		j.problem("healthcheck/target", at, fmt.Sprintf("health check %s does not say which port it connects to", c.ID), "write port: tcp has none of its own")
	}
}

func (j *judgement) judgeAccount(code schema.Code, at string, id schema.AccountID) {
	if _, is := j.platform.Account(id); !is && id != "" {
		known := names(j.platform.Accounts, func(a schema.Account) schema.AccountID { return a.ID })
		j.problem(code, at, fmt.Sprintf("there is no account %s", id), meant(id, known, "accounts here: "+join(known)))
	}
}

// judgeHealth looks at which health check a set names.
func (j *judgement) judgeHealth(zone schema.Zone, r schema.Record, s schema.RecordSet) {
	at := r.SetPath(s) + ".healthCheck"
	if !s.HealthCheck.Ours() {
		return
	}
	c, is := j.platform.HealthCheck(s.HealthCheck)
	switch {
	case !is:
		known := names(j.platform.HealthChecks, func(c schema.DNSHealthCheck) schema.HealthCheckID { return c.ID })
		j.problem("record/health", at, fmt.Sprintf("there is no health check %s", s.HealthCheck), meant(s.HealthCheck, known, "health checks here: "+join(known)))
	case c.Account != zone.Account:
		j.problem("record/health", at, fmt.Sprintf("the health check %s is in %s, but the zone %s is in %s", c.ID, account(c.Account), zone.Name, account(zone.Account)),
			"a record names a health check of its zone's account: declare one there", j.platform.Source.Find("healthChecks."+string(c.ID)))
	}
}

func account(id schema.AccountID) string {
	if id == "" {
		return "the daemon's own account"
	}
	return "the account " + string(id)
}
