package reconciler

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// What is under way at most: one validation for pulls and previews, whatever they hold, and one more for the branch.
const (
	validations    = 2
	mostUnits      = 500      // in one of them
	mostBytes      = 16 << 20 // likewise
	validationTime = 2 * time.Minute
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
		next := l.takeUnseen(slices.Concat(l.unseen, l.unseenSteps))
		if len(next) == 0 && l.validations < validations-1 {
			next = l.nextProposed()
		}
		if len(next) == 0 {
			return
		}
		l.validate(ctx, next)
	}
}

func (l *loop) validate(ctx context.Context, all []unseen) {
	contents, units := make([]string, len(all)), make([]envoy.Unit, len(all))
	for i, u := range all {
		var err error
		if units[i], err = envoy.DecodeUnit(u.body); err != nil {
			l.Log.Error("decode content", "service", u.service, "error", err) // the validator will say so too
		}
		contents[i] = u.content
	}
	l.validations++
	l.aside(ctx, func() any {
		ctx, cancel := context.WithTimeoutCause(ctx, validationTime, fmt.Errorf("Envoy took longer than %s", validationTime))
		defer cancel()
		return validated{contents, l.Validator.Validate(ctx, units)}
	})
}

// nextProposed takes what is looked at next for a preview, or for the pull that has the fewest contents: a large one is overtaken.
func (l *loop) nextProposed() []unseen {
	for _, p := range l.previews {
		if next := l.takeUnseen(p.unseen); len(next) > 0 {
			return next
		}
	}
	pulls := slices.SortedFunc(maps.Values(l.pulls), func(a, b *pull) int {
		return cmp.Or(cmp.Compare(len(a.unseen), len(b.unseen)), cmp.Compare(a.pull.Number, b.pull.Number))
	})
	for _, p := range pulls {
		if next := l.takeUnseen(p.unseen); len(next) > 0 {
			return next
		}
	}
	return nil
}

// takeUnseen are those that nobody is looking at, as many as go into one validation. From now on somebody is.
func (l *loop) takeUnseen(all []unseen) (next []unseen) {
	size := 0
	for _, u := range all {
		if _, known := l.verdict(u.content); known || l.validating[u.content] {
			continue
		}
		if size += len(u.body); len(next) == mostUnits || len(next) > 0 && size > mostBytes {
			break
		}
		next, l.validating[u.content] = append(next, u), true
	}
	return next
}

// takeValidated notes verdicts, and goes on with what has waited for them.
func (l *loop) takeValidated(ctx context.Context, m validated) {
	l.validations--
	var sure, unsure []state.Verdict
	for i, content := range m.contents {
		delete(l.validating, content)
		v := state.Verdict{Content: content, By: l.Validator.By(), Used: l.Now(), Verdict: m.verdicts[i]}
		l.verdicts[content] = v
		l.Metrics.Validations.WithLabelValues(outcomeOf(v)).Inc()
		if v.Unsure == "" {
			sure = append(sure, v)
		} else {
			unsure = append(unsure, v)
		}
	}
	if len(unsure) > 0 {
		l.Log.Warn("services could not be validated by Envoy, and go on without", "services", len(unsure), "why", unsure[0].Unsure)
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

func outcomeOf(v state.Verdict) string {
	switch {
	case v.Unsure != "":
		return "unsure"
	case v.Refused != "":
		return "refused"
	}
	return "taken"
}

// decideAgain decides the tip once more, now that something of it was judged.
func (l *loop) decideAgain(ctx context.Context) {
	before := l.problems
	l.decideBranch()
	for _, p := range l.problems {
		if p.Code == refusedCode && !slices.ContainsFunc(before, func(q schema.Problem) bool { return q.Code == p.Code && q.Path == p.Path }) {
			l.tellProblem(p)
		}
	}
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
