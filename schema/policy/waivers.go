package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// Waivable are the rules that a service may break for a time, by a waiver, and about which the platform may be less strict.
var Waivable = []schema.Code{
	"backend/health", "backend/local", "backend/loop", "backend/timeout", "backend/unused", "budget/hosts", "budget/regexes", "budget/routes", "field/deprecated", "host/certificate", "host/wildcard", "owner/oncall",
	"redirect/dangling", "route/star", "route/timeout", "route/unreachable",
}

// Opened is the rule that a service which becomes public has the word of an approver. Its waiver stays unused once the change is made.
const Opened schema.Code = "exposure/opened"

const (
	longestWaiver = 400 // days
	notice        = 14  // days before the end of a waiver or of a field from which on it is told
)

// waive tells whether a waiver covers the problem: one that holds, or that waits for nothing but the right approver, which is told instead.
func (j *judgement) waive(code schema.Code, path string) bool {
	for i, w := range j.service.Waivers {
		if w.Rule == code && slices.Contains(Waivable, code) && under(path, w.At) && (j.holds(w) || !slices.Contains(j.platform.Approvers, w.Approver)) {
			j.waived[i] = true
			return true
		}
	}
	return false
}

func under(path, at string) bool {
	rest, is := strings.CutPrefix(path, at)
	return is && (at == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// holds tells whether a waiver is approved and its time has come neither to an end nor is too long.
func (j *judgement) holds(w schema.Waiver) bool { return Approved(*j.platform, w, j.today) }

// Approved tells whether a waiver names an approver and has not ended.
func Approved(p schema.Platform, w schema.Waiver, today schema.Date) bool {
	return slices.Contains(p.Approvers, w.Approver) && (today.IsZero() || today.DaysUntil(w.Expires) >= 0 && today.DaysUntil(w.Expires) <= longestWaiver)
}

// checkWaivers is the last of the checks: it knows which waivers were used.
func (j *judgement) checkWaivers() {
	for i, w := range j.service.Waivers {
		at := fmt.Sprintf("waivers[%d]", i)
		left := longestWaiver
		if !j.today.IsZero() {
			left = j.today.DaysUntil(w.Expires)
		}
		switch {
		case !slices.Contains(Waivable, w.Rule) && w.Rule != Opened:
			j.problem("waiver/rule", at+".rule", fmt.Sprintf("%s is no rule that can be waived", w.Rule), meant(w.Rule, append(Waivable[:len(Waivable):len(Waivable)], Opened), "those that can be are "+join(Waivable)+" and "+string(Opened)))
		case !slices.Contains(j.platform.Approvers, w.Approver):
			j.problem("waiver/approver", at+".approver", fmt.Sprintf("%s may not approve waivers", w.Approver), meant(w.Approver, j.platform.Approvers, "approvers are listed in platform/: "+join(j.platform.Approvers)))
		case left > longestWaiver:
			j.problem("waiver/expiry", at+".expires", fmt.Sprintf("this waiver would hold for %d days: at most %d are allowed", left, longestWaiver), "choose an earlier day; it can be renewed")
		case w.Rule == Opened:
		case left < 0:
			j.problem("waiver/expired", at+".expires", fmt.Sprintf("this waiver ended on %s", w.Expires), "obey the rule and remove the waiver, or have it renewed")
		case !j.waived[i]:
			j.warning("waiver/unused", at, fmt.Sprintf("nothing here breaks %s any more", w.Rule), "remove the waiver")
		case left <= notice:
			j.warning("waiver/ending", at+".expires", fmt.Sprintf("this waiver ends on %s: from then on %s holds the service back", w.Expires, w.Rule), "obey the rule, or have the waiver renewed")
		}
	}
}

// checkDeprecated tells of fields that will not be taken for long, or are not any more.
func (j *judgement) checkDeprecated() {
	if len(j.platform.Deprecated) == 0 {
		return
	}
	for _, path := range slices.Sorted(maps.Keys(j.service.Source.At)) {
		d, is := j.platform.Deprecated[generic(path)]
		if !is || strings.HasSuffix(path, "]") || !strings.HasPrefix(j.service.Source.At[path].File, "services/") {
			continue
		}
		if !j.today.IsZero() && j.today.DaysUntil(d.Until) < 0 {
			j.problem("field/deprecated", path, fmt.Sprintf("%s is no longer taken since %s", path, d.Until), d.Use)
			continue
		}
		j.warning("field/deprecated", path, fmt.Sprintf("%s is taken until %s only", path, d.Until), d.Use)
	}
}

// generic is a path without indexes, and without the names that authors gave to backends and headers.
func generic(path string) string {
	parts := strings.Split(path, ".")
	for i := range parts {
		parts[i], _, _ = strings.Cut(parts[i], "[")
	}
	if parts[0] == "backends" && len(parts) > 1 {
		parts = slices.Delete(parts, 1, 2)
	}
	if len(parts) > 4 && parts[1] == "headers" {
		parts = parts[:4]
	}
	return strings.Join(parts, ".")
}
