package reconciler

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// The zones are in two AWS accounts: all but one in the daemon's own, and one in an account in which it takes on a role.
const (
	secondAccount schema.AccountID = "second"
	secondZone                     = "acme.internal"
	secondRole                     = "arn:aws:iam::123456789012:role/edgewright"
	secondKey                      = "ASIASECOND"
)

// accountOf is the account of a zone.
func accountOf(zone string) schema.AccountID {
	if zone == secondZone {
		return secondAccount
	}
	return ""
}

// accountFails is an account that lets nobody in for a while, or does again.
func (s *sim) accountFails() {
	s.denied = !s.denied
}

// assumeRole answers whoever takes on the role: with keys for the second account.
func (s *sim) assumeRole() *http.Response {
	s.count("role is taken on")
	status, body := http.StatusOK, fmt.Sprintf(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`, secondKey)
	if s.denied {
		s.count("account does not let us in")
		status, body = http.StatusForbidden, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>not authorized</Message></Error></ErrorResponse>`
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body))}
}

// ofSecond tells whether a request is made in the second account.
func ofSecond(req *http.Request) bool {
	return strings.Contains(req.Header.Get("Authorization"), "Credential="+secondKey+"/")
}

// checkAccount holds that a zone is asked for in its account.
func (s *sim) checkAccount(req *http.Request) {
	for _, zone := range zoneNames {
		if strings.Contains(req.URL.Path, "/hostedzone/"+s.zones[zone]+"/") && ofSecond(req) != (zone == secondZone) {
			s.fail("%s is asked for in another account", zone)
		}
	}
}

// checkShares holds that the guard stops deletions of more than 30 % of the records in an account.
func (s *sim) checkShares(p *process, pending []plan.Step) {
	gone, all := map[schema.AccountID][]plan.Step{}, map[schema.AccountID]int{}
	for key, e := range p.owned {
		if zone, is := key.Scope.Zone(); is && e.Spec != nil {
			all[accountOf(string(zone))]++
		}
	}
	for _, step := range pending {
		if zone, is := step.Key.Scope.Zone(); is && step.Verb == plan.Delete && !p.approvals[step.ID()].Confirmed {
			gone[accountOf(string(zone))] = append(gone[accountOf(string(zone))], step)
		}
	}
	stopped := map[string]bool{}
	for _, v := range p.vetoes {
		for _, id := range v.Steps {
			stopped[id] = true
		}
		if v.Guard == plan.GuardMassDelete && strings.Contains(v.Message, "account") {
			s.count("guard counts an account")
		}
	}
	for account, steps := range gone {
		for _, step := range steps {
			if all[account] >= 10 && len(steps)*100 > all[account]*30 && !stopped[step.ID()] {
				s.fail("%d of %d records in account %q would go, and no guard stops %s", len(steps), all[account], account, step.Key)
			}
		}
	}
}

// checkApart holds that an account which does not answer keeps nothing of another from being done.
func (s *sim) checkApart(p *process) {
	if s.leader != p || len(s.faults) > 0 {
		return
	}
	for at := range s.expected() {
		if _, theirs := s.foreign[at]; theirs { // it will clash, and come once it was taken away
			return
		}
	}
	s.count("one account fails, the other goes on")
	s.denied = true
	for n := 0; n < 10 && p.zones[resource.ZoneScope(secondZone)].err == nil; n++ {
		s.advance(p.untilNext())
		s.tell(p, nil)
		s.everyTask()
		s.everyMail()
	}
	s.push(func(d declarations) declarations {
		out := d.plain()
		for id := range out.fleets {
			out.fleets[id] += 100
		}
		return out
	}, 0)
	for n := 0; n < 100 && (n < 3 || !s.done(p)); n++ {
		s.rest()
		s.advance(p.untilNext())
		if s.leader != p {
			return
		}
		s.tell(p, nil)
	}
	if diff := s.differenceIn(zoneNames[:2]...); len(diff) > 0 {
		s.fail("while an account does not answer, the other is not as declared: %v", diff)
	}
	s.denied = false
}

// done tells whether the daemon's own account has nothing left to do.
func (s *sim) done(p *process) bool {
	second := func(scope resource.Scope) bool { return scope == resource.ZoneScope(secondZone) }
	for key := range p.steps {
		if !second(key.Scope) {
			return false
		}
	}
	for _, f := range p.flights {
		if !second(f.intent.Scope) {
			return false
		}
	}
	return p.loaded == s.tip().commit.Hash
}
