package reconciler

import "slices"

// kinds are what a run of many seeds must have met, each at least once: kinds of events and faults, guards, and the points at which a process
// died or stood still.
func kinds() []string {
	all := []string{
		"commit", "merge", "direct push", "many services go", "declaration is broken", "name moves", "service goes", "service changes its fleet", "fleet changes its ttl",
		"platform record goes", "platform record takes another form", "others' record beside which ours cannot stand",
		"health check goes", "health check is made", "health check is changed", "health check is deleted", "health check of others", "health check changed by hand", "health check deleted by hand", "health check is deleted with a change that nobody had seen",
		"record changed by hand", "record deleted by hand", "foreign record", "clash",
		"throttled", "unavailable", "lost request", "lost reply", "listing is stale", "listing fails at a later page", "forge does not answer",
		"request is slow", "request outlives its process", "request expired", "request of one that sleeps arrives", "request of one that was replaced arrives",
		"clock jumps ahead", "wall clock is set forwards", "wall clock is set back", "proxy comes back", "proxy goes away",
		"applied by a person", "wrong digest refused", "guard asks for a count", "guard mass-delete", "guard empty-desired",
		"crash", "crash before a call", "crash after a call", "told to stop", "process falls asleep", "process wakes up", "process wakes up in the middle of something",
		"leader is replaced in its sleep", "leader is replaced while it works", "leader learns that it was replaced",
		"write of who does not lead any more is refused", "review of who does not lead any more is kept back", "proxy is turned away by who may not lead any more",
		"guard protected", "guard freeze", "guard quota", "guard counts an account", "paused", "drift becomes heal", "drift becomes report", "drift becomes pause",
		"freeze of everything", "freeze of a fleet", "freeze of a team", "freeze of a service", "freeze of a zone", "freeze is ended", "freeze has run out", "freeze refused",
		"people adopt", "people keep", "people put-back", "people forget", "decision refused: a call is not over", "adopted as it is", "adopted by a change",
		"role is taken on", "account does not let us in", "one account fails, the other goes on", "zones that were listed together come apart",
		"calls were counted", "a part of a call in doubt is there",
	}
	for _, write := range []string{"approval", "audit", "decision", "freeze", "good", "intent", "inventory", "lease", "outcome", "plan-pull", "release", "token"} {
		all = append(all, "crash before a write of "+write, "crash after a write of "+write)
	}
	for _, write := range []string{"intent", "lease", "outcome", "release", "token"} {
		all = append(all, "sleep before a write of "+write, "sleep after a write of "+write)
	}
	return slices.Compact(all)
}
