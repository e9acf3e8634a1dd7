package reconciler

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

// takeAcknowledgements notes which services a whole fleet has, and what was refused.
func (l *loop) takeAcknowledgements(ctx context.Context) {
	for _, id := range sortedKeys(l.releases) {
		f := l.releases[id]
		var have []schema.ServiceID
		for service, e := range f.release.Services {
			if e.Good == e.Content {
				continue
			}
			if version, ok := l.Proxies.Acknowledged(id, service); ok && version == e.Version() {
				have = append(have, service)
			}
		}
		// It is stored with the next change of the release: until then every proxy can tell it again.
		f.release = f.release.Acknowledge(have...)
	}
	for _, refusal := range l.Proxies.Refusals() {
		l.takeRefusal(ctx, refusal)
	}
	l.noteServed()
	l.stale = true
}

// takeRefusal remembers content that a proxy refused, so that it is shown and not served again.
func (l *loop) takeRefusal(ctx context.Context, r xds.Refusal) {
	f := l.releases[r.Fleet]
	if f == nil {
		return
	}
	e, known := f.release.Services[r.Service]
	if !known || e.Version() != r.Version || r.Proven {
		return
	}
	next, changed := f.release.Refuse(r.Service, string(r.Cohort), r.Why)
	if !changed {
		return
	}
	l.Log.Error("Envoy refused a service", "fleet", r.Fleet, "service", r.Service, "node", r.Node, "envoy", r.Cohort, "why", r.Why)
	l.Metrics.Failures.WithLabelValues("proxy").Inc()
	if err := l.replaceRelease(ctx, f, next, nil); err != nil {
		l.Log.Error("store refusal", "service", r.Service, "error", err)
	}
}

// noteServed measures once how long the tip, and each merged pull, took to be served by every proxy.
func (l *loop) noteServed() {
	now := l.Now()
	if l.served == 0 && l.loaded && len(l.unseen) == 0 && l.allServed(maps.Values(l.shown)) {
		l.served = max(now.Sub(l.seen), 1)
		l.Metrics.Served.Observe(l.served.Seconds())
	}
	for _, f := range l.merged {
		if f.served == 0 && l.allServed(slices.Values(f.plan.Steps)) {
			f.served = max(now.Sub(f.seen), 1)
		}
	}
}

// allServed tells whether every proxy has what steps say.
func (l *loop) allServed(steps iter.Seq[plan.Step]) bool {
	for s := range steps {
		if s.Key.Kind.OfProxies() && l.stepOf(s).Status != forge.StepDone {
			return false
		}
	}
	return true
}
