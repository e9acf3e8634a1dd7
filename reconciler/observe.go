package reconciler

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/resource"
)

// staleness is how far a listing may be behind what was written: what was written later than that before it may be there, unseen.
const staleness = 10 * time.Second

// longest is how long a listing may take, most of which is waiting for the rate of AWS behind other listings.
const longest = 10 * time.Minute

// zone is the scope, made when it is first spoken of.
func (l *loop) zone(scope resource.Scope) *zone {
	z := l.zones[scope]
	if z == nil {
		z = &zone{}
		l.zones[scope] = z
	}
	return z
}

// observeDue lists each zone that is due, one listing of it at a time, beside the loop. The failure of one stops no other.
func (l *loop) observeDue(ctx context.Context, now time.Time) {
	for _, scope := range sortedKeys(l.zones) {
		z := l.zones[scope]
		if z.observing {
			continue
		}
		if now.Before(z.due) {
			l.alarm("observe", z.due)
			continue
		}
		z.observing = true
		l.aside(ctx, func() any {
			list, cancel := context.WithTimeout(ctx, longest)
			defer cancel()
			snapshot, err := l.Provider.Observe(list, scope)
			return observed{scope: scope, snapshot: snapshot, started: now, err: err}
		})
	}
}

// unused is how many periods pass until an account's health checks are listed again that nobody declares.
const unused = 30

// period is how often a scope is listed.
func (l *loop) period(scope resource.Scope) time.Duration {
	if _, is := scope.HealthChecks(); !is {
		return l.Every.Observe
	}
	for key := range l.desired {
		if key.Scope == scope {
			return l.Every.Observe
		}
	}
	for key := range l.owned {
		if key.Scope == scope {
			return l.Every.Observe
		}
	}
	return unused * l.Every.Observe
}

// spread is a period, or up to a tenth less: so zones that were listed together come apart, and are not listed in one burst for ever.
func spread(period time.Duration, scope resource.Scope, now time.Time) time.Duration {
	h := fnv.New32a()
	fmt.Fprint(h, scope, now.UnixNano())
	return period - period/10*time.Duration(h.Sum32()%1000)/1000
}

// takeObserved replaces what was known of a zone, and looks again at what differs from before. news is false when nothing came of it but that it is newer.
func (l *loop) takeObserved(ctx context.Context, o observed) (news bool) {
	now := l.Now()
	z := l.zone(o.scope)
	z.observing = false
	if o.err != nil {
		z.fail(o.err, now)
		z.due = now.Add(min(backoff(z.failed), l.Every.Observe))
		l.Metrics.Failures.WithLabelValues("zone").Inc()
		l.Log.Error("zone cannot be listed", "scope", o.scope, "error", o.err)
		return true
	}
	z.due = now.Add(spread(l.period(o.scope), o.scope, now))
	if o.started.Before(z.wrote) { // a call came in between: this listing may be from before it
		z.due = now
		return true
	}
	quiet := z.err == nil && z.snapshot != nil && len(l.flights) == 0
	z.err, z.failed = nil, 0
	if l.marked(o.snapshot) {
		o.snapshot.Foreign = ""
	}
	before := z.snapshot
	z.snapshot = &o.snapshot
	l.resolve(ctx, o.scope, o.started)
	l.markChanged(o.scope, before, z.snapshot)
	return !quiet || len(l.dirty) > 0
}

// marked tells whether a zone's mark is the one that we made, maybe under another name of this edge.
func (l *loop) marked(s plan.Snapshot) bool {
	for key, e := range l.owned {
		if key.Scope == s.Scope && render.IsMark(key) && e.Spec != nil && bytes.Equal(s.Resources[key], e.Spec) {
			return true
		}
	}
	return false
}

// markChanged makes the keys dirty whose observation differs, or all of a zone that was seen for the first time.
func (l *loop) markChanged(scope resource.Scope, before, after *plan.Snapshot) {
	if before == nil || before.Foreign != after.Foreign {
		for key := range l.desired {
			l.dirty[key] = l.dirty[key] || key.Scope == scope
		}
		for key := range l.owned {
			l.dirty[key] = l.dirty[key] || key.Scope == scope
		}
		for key, is := range l.dirty {
			if !is {
				delete(l.dirty, key)
			}
		}
		return
	}
	for key, value := range after.Resources {
		if !bytes.Equal(before.Resources[key], value) {
			l.dirty[key] = true
		}
	}
	for key := range before.Resources {
		if _, still := after.Resources[key]; !still {
			l.dirty[key] = true
		}
	}
}

// fail remembers since when a zone cannot be reached.
func (z *zone) fail(err error, now time.Time) {
	if z.err == nil {
		z.since = now
	}
	z.err, z.failed = err, z.failed+1
}
