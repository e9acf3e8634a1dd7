package forge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// headline is the verdict in a few words of ours.
func (r Review) headline() string {
	switch r.Verdict() {
	case Refused:
		if n := len(r.Problems); n > 0 && r.merged() {
			return "Merged, but held: " + plural(n, "problem", "problems")
		} else if n > 0 {
			return "Refused: " + plural(n, "problem", "problems")
		}
		return "Refused"
	case Vetoed:
		return "Stopped by a guard"
	case Unknown:
		return "Planned, partly unknown until applied"
	case Waiting:
		return "Waits for apply"
	case Applying:
		if n := r.count(status(StepFailed)); n > 0 {
			return fmt.Sprintf("Applying: %d of %d steps done, %d failing", r.count(status(StepDone)), len(r.Steps), n)
		}
		return fmt.Sprintf("Applying: %d of %d steps done", r.count(status(StepDone)), len(r.Steps))
	case Applied:
		if r.CommitToServed > 0 {
			return "Applied, served " + duration(r.CommitToServed) + " after the commit"
		}
		return "Applied"
	case Superseded:
		return "Superseded by a newer head"
	case Closed:
		return "Closed without a merge; nothing was applied"
	}
	if len(r.Steps) == 0 {
		return "No changes"
	}
	return "Ready to merge"
}

// unblock are sentences that say exactly what has to happen next, and who does it.
func (r Review) unblock(p ink) []string {
	var out []string
	if r.Note != "" {
		out = append(out, p.bold("Note:")+" "+p.prose(r.Note)+".")
	}
	switch r.Verdict() {
	case Planned:
		if len(r.Steps) > 0 {
			out = append(out, "Merging applies exactly this plan. Nothing else is needed.")
		}
	case Unknown:
		out = append(out, fmt.Sprintf("What stands in %s could not be compared; it is planned again by itself once that can be read, "+
			"and nothing is deleted unseen.", p.join(r.unknownScopes())))
	case Refused:
		out = append(out, r.unblockRefused(p)...)
	case Vetoed:
		for _, v := range r.Vetoes {
			out = append(out, fmt.Sprintf("%s says: %s. To go on: %s.", p.code(v.Guard), p.prose(v.Message), p.prose(v.Unblock)))
		}
		if !r.merged() {
			out = append(out, "Merging does not lift it: the steps stay planned and wait for a person.")
		}
	case Waiting:
		n := r.count(status(StepApproval))
		if n == 0 {
			n = len(r.Steps)
		}
		if len(r.Vetoes) > 0 {
			for _, v := range r.Vetoes {
				out = append(out, fmt.Sprintf("%s says: %s. To let exactly this go on: %s.", p.code(v.Guard), p.prose(v.Message), p.code(r.apply())))
			}
			break
		}
		out = append(out, fmt.Sprintf("%s taking traffic away that nobody was shown. To let exactly %s go on: %s.",
			plural(n, "step waits,", "steps wait,"), pick(n, "it", "them"), p.code(r.apply())))
	case Applying:
		for _, s := range r.Steps {
			if s.Status == StepFailed && len(out) < 5 {
				out = append(out, fmt.Sprintf("%s failed and is tried again: %s.", p.code(Title(s.Step)), p.prose(s.Why)))
			}
		}
	}
	return out
}

func (r Review) unblockRefused(p ink) []string {
	var out []string
	switch {
	case len(r.Problems) == 0:
	case r.merged() && r.Frozen:
		out = append(out, "Everything stays as it was before, until what is listed is mended on the branch.")
	case r.merged():
		out = append(out, "What is held stays at its last good version, until what is listed is mended on the branch. The rest is applied.")
	default:
		out = append(out, "Fix what is listed and push; it is planned again at once. Until then nothing of it is applied.")
	}
	for i, c := range r.Clashes {
		if i == 5 {
			out = append(out, fmt.Sprintf("And %d more like these.", len(r.Clashes)-i))
			break
		}
		out = append(out, fmt.Sprintf("%s: %s. To go on: %s.", p.code(c.Key.Name), p.prose(c.Message), p.prose(c.Unblock)))
	}
	return out
}

func pick(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

func (r Review) unknownScopes() []string {
	var scopes []string
	for _, key := range r.Unknown {
		scopes = append(scopes, string(key.Scope))
	}
	slices.Sort(scopes)
	return slices.Compact(scopes)
}

// join names a few things.
func (p ink) join(names []string) string {
	shown := make([]string, 0, len(names))
	for i, name := range names {
		if i == 10 {
			shown = append(shown, fmt.Sprintf("%d more", len(names)-i))
			break
		}
		shown = append(shown, p.code(name))
	}
	return strings.Join(shown, ", ")
}

// counts is how many steps do what, the ones that take something away in bold.
func (r Review) counts(p ink) string {
	if len(r.Steps) == 0 {
		return "nothing to create, update or delete"
	}
	parts := []string{
		fmt.Sprintf("%d to create", r.count(verb(plan.Create))),
		fmt.Sprintf("%d to update", r.count(verb(plan.Update))),
	}
	if n := r.count(takesTrafficByUpdate); n > 0 {
		parts = append(parts, p.bold(fmt.Sprintf("%d of them taking traffic away", n)))
	}
	if n := r.count(verb(plan.Adopt)); n > 0 {
		parts = append(parts, p.bold(fmt.Sprintf("%d to adopt", n)))
	}
	deletes := fmt.Sprintf("%d to delete", r.count(verb(plan.Delete)))
	if r.has(verb(plan.Delete)) {
		deletes = p.bold(deletes)
	}
	return strings.Join(append(parts, deletes), ", ")
}

// aliasTTL is the time to live, in seconds, of what Route53 answers for an alias of AWS (Developer Guide, "Choosing between alias and
// non-alias records").
const aliasTTL = 60

// slow is what cannot be undone at once.
func (r Review) slow() []string {
	names, ttl := map[schema.Hostname]bool{}, 0
	for _, s := range r.Steps {
		var was dns.Record
		if s.Key.Kind != resource.DNSRecord || s.Verb == plan.Create || json.Unmarshal(s.Before, &was) != nil {
			continue
		}
		names[was.Name] = true
		ttl = max(ttl, was.TTL)
		if was.Alias != nil {
			ttl = max(ttl, aliasTTL)
		}
	}
	var out []string
	if len(names) > 0 {
		out = append(out, fmt.Sprintf("Old answers for %s live up to %d s in caches.", plural(len(names), "name", "names"), ttl))
	}
	gone := r.count(func(s Step) bool {
		leads := func(h schema.Hostname) bool { return names[h] }
		return ofKind(resource.EnvoyService, s) && s.Verb == plan.Delete && slices.ContainsFunc(s.Hosts(), leads)
	})
	if gone > 0 {
		out = append(out, fmt.Sprintf("The routes of %s go on answering until then.", plural(gone, "deleted service", "deleted services")))
	}
	return out
}

// rollout is the order in which the steps go out.
func (r Review) rollout() []string {
	var out []string
	add := func(format string, is func(Step) bool) {
		if n := r.count(is); n > 0 {
			out = append(out, fmt.Sprintf(format, n))
		}
	}
	add("Fleets: %d, listeners first", func(s Step) bool { return ofKind(resource.EnvoyFleet, s) })
	add("Services: %d published to every proxy, new before old", func(s Step) bool {
		return ofKind(resource.EnvoyService, s) && s.Verb != plan.Delete
	})
	add("Health checks: %d made or changed, before what names them", func(s Step) bool {
		return ofKind(resource.DNSHealthCheck, s) && s.Verb != plan.Delete
	})
	add("Records: %d created or updated, each once every proxy answers for its name", func(s Step) bool {
		return ofKind(resource.DNSRecord, s) && s.Verb != plan.Delete
	})
	add("Records: %d deleted", func(s Step) bool { return ofKind(resource.DNSRecord, s) && s.Verb == plan.Delete })
	add("Health checks: %d deleted, each once no record names it", func(s Step) bool {
		return ofKind(resource.DNSHealthCheck, s) && s.Verb == plan.Delete
	})
	add("Services: %d removed, each once the TTL of its names has passed", func(s Step) bool {
		return ofKind(resource.EnvoyService, s) && s.Verb == plan.Delete
	})
	if estimate := r.estimate(); estimate != "" {
		out = append(out, "All of it is in effect after "+estimate)
	}
	return out
}

// touched says which names a step touches and how their traffic moves.
func touched(s Step, p ink) string {
	hosts := make([]string, 0, 4)
	for _, h := range s.Hosts() {
		hosts = append(hosts, string(h))
	}
	if len(hosts) == 0 {
		return ""
	}
	text := p.join(hosts) + ": " + string(s.Verb) + " " + Noun(s.Key.Kind)
	if s.Key.Kind == resource.EnvoyService {
		text += " " + p.code(s.Key.Name)
	}
	if takesTrafficByUpdate(s) {
		text += ", " + p.bold("takes traffic away")
	}
	if s.Verb == plan.Adopt {
		text += ", " + p.bold(adopting(s))
	}
	if s.Drift {
		text += ", " + p.bold("overwrites a change made by hand")
	}
	if s.Verb == plan.Update {
		text += weights(s, p)
	}
	return text
}

// adopting says what becomes of what somebody else made.
func adopting(s Step) string {
	if bytes.Equal(s.Before, s.After) {
		return "becomes ours as it is"
	}
	return "becomes ours, and is changed"
}

// weights are the shares of traffic that change.
func weights(s Step, p ink) string {
	var out []string
	for _, f := range s.Fields() {
		at, is := strings.CutSuffix(f.Path, ".weight")
		if !is || len(out) == 8 {
			continue
		}
		out = append(out, fmt.Sprintf("%s %s → %s", p.code(at), orZero(f.Before), orZero(f.After)))
	}
	if len(out) == 0 {
		return ""
	}
	return ", weights " + strings.Join(out, ", ")
}

func orZero(number string) string {
	if number == "" || strings.Trim(number, "0123456789") != "" {
		return "0"
	}
	return number
}

func duration(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return d.Round(time.Second).String()
}
