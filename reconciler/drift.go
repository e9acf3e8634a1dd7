package reconciler

import (
	"bytes"
	"slices"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// noteDrift remembers what somebody else changed, once, until it is healed.
func (l *loop) noteDrift(keys []resource.Key) {
	for _, key := range keys {
		i := slices.IndexFunc(l.drifts, func(d Drift) bool { return d.Key == key && d.Healed.IsZero() })
		s, differs := l.steps[key]
		drifted := differs && l.isDrift(s)
		switch {
		case drifted && i < 0:
			l.drifts = append(l.drifts, Drift{Key: key, Service: s.Service, Fields: plan.Fields(s.After, s.Before), Found: l.Now()})
			l.Metrics.Drift.Inc()
			l.Log.Warn("drift found", "key", key, "service", s.Service)
		case drifted:
			l.drifts[i].Kept = ""
		case !differs && i >= 0:
			if d := l.decisions[key]; d.Kept != nil {
				l.drifts[i].Kept = d.By
			} else {
				l.drifts[i].Healed = l.Now()
			}
		}
	}
	if extra := len(l.drifts) - 100; extra > 0 {
		l.drifts = slices.Delete(l.drifts, 0, extra)
	}
}

// isDrift tells whether a step only puts back what we had applied: also when it is gone altogether.
func (l *loop) isDrift(s plan.Step) bool {
	owned, ours := l.owned[s.Key]
	return s.Drift || s.Verb == plan.Create && ours && bytes.Equal(owned.Spec, s.After)
}
