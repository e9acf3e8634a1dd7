package reconciler

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/render/envoy"
)

const (
	validations = 2   // that are under way at most
	mostUnits   = 500 // in one of them
)

// validated is what a validation came to.
type validated struct {
	contents []string
	verdicts []validate.Verdict
}

// waitingPreview is a request that is answered once all of its contents are judged.
type waitingPreview struct {
	request
	unseen []unseen
}

// validateDue has contents judged that nobody has looked at, beside the loop, and those first that somebody waits for most.
func (l *loop) validateDue(ctx context.Context) {
	if l.Validator == nil {
		return
	}
	for l.validations < validations {
		next := l.nextUnseen()
		if len(next) == 0 {
			return
		}
		var contents []string
		var units []envoy.Unit
		for _, u := range next {
			unit, err := envoy.DecodeUnit(u.body)
			if err != nil {
				l.Log.Error("decode content", "service", u.service, "error", err) // the validator says so too
			}
			contents, units = append(contents, u.content), append(units, unit)
		}
		l.validations++
		l.aside(ctx, func() any { return validated{contents, l.Validator.Validate(ctx, units)} })
	}
}

// nextUnseen takes the contents that are looked at next, all for one: the branch, a preview, or the pull that has the fewest.
func (l *loop) nextUnseen() []unseen {
	asking := [][]unseen{slices.Concat(l.unseen, l.unseenSteps)}
	for _, p := range l.previews {
		asking = append(asking, p.unseen)
	}
	var pulls [][]unseen
	for _, n := range sortedKeys(l.pulls) {
		pulls = append(pulls, l.pulls[n].unseen)
	}
	slices.SortStableFunc(pulls, func(a, b []unseen) int { return cmp.Compare(len(a), len(b)) })
	for _, one := range append(asking, pulls...) {
		var next []unseen
		for _, u := range one {
			if _, known := l.verdict(u.content); !known && !l.validating[u.content] && len(next) < mostUnits {
				next, l.validating[u.content] = append(next, u), true
			}
		}
		if len(next) > 0 {
			return next
		}
	}
	return nil
}

// takeValidated notes verdicts, and goes on with what has waited for them.
func (l *loop) takeValidated(ctx context.Context, m validated) {
	l.validations--
	var sure []state.Verdict
	for i, content := range m.contents {
		delete(l.validating, content)
		v := state.Verdict{Content: content, By: l.Validator.By(), Used: l.Now(), Verdict: m.verdicts[i]}
		l.verdicts[content] = v
		l.tellVerdict(v)
		if v.Unsure == "" {
			sure = append(sure, v)
		}
	}
	if err := l.Books.Verdicts.Put(ctx, sure...); err != nil {
		l.Log.Error("store verdicts", "error", err) // it costs a validation after the next start
	}
	if slices.ContainsFunc(l.unseen, func(u unseen) bool { return slices.Contains(m.contents, u.content) }) {
		l.decideAgain(ctx)
	}
	waiting := l.previews
	l.previews = nil
	for _, p := range waiting {
		l.reply(ctx, p.request)
	}
}

func (l *loop) tellVerdict(v state.Verdict) {
	outcome := "taken"
	switch {
	case v.Unsure != "":
		outcome = "unsure"
		l.Log.Warn("content could not be validated by Envoy; it goes on without", "content", short(v.Content), "why", v.Unsure)
	case v.Refused != "":
		outcome = "refused"
		l.Log.Info("Envoy would not take a content", "content", short(v.Content), "route", v.Route, "backend", v.Backend, "why", v.Refused)
	}
	l.Metrics.Validations.WithLabelValues(outcome).Inc()
}

// decideAgain decides the tip once more, now that something of it was judged.
func (l *loop) decideAgain(ctx context.Context) {
	l.decideBranch()
	l.compare()
	if len(l.unseen) == 0 {
		l.forgetApprovals(ctx)
		l.noteServed()
	}
}

// keepVerdicts notes which verdicts are in use, and drops those that are not.
func (l *loop) keepVerdicts(ctx context.Context, now time.Time) {
	if l.Validator == nil || now.Sub(l.verdictsKept) < usedWithin/24 {
		return
	}
	l.verdictsKept = now
	used := make([]state.Verdict, 0, len(l.used))
	for _, content := range l.used {
		if v := l.verdicts[content]; v.Unsure == "" {
			used = append(used, v)
		}
	}
	l.used = nil
	err := l.Books.Verdicts.Put(ctx, used...)
	if err == nil {
		l.verdicts, err = l.Books.Verdicts.Forget(ctx, l.verdicts, now)
	}
	if err != nil {
		l.Log.Error("store verdicts", "error", err)
	}
}
