package reconciler

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Apply asks for the steps that wait for a person: for all of them by the digest of what waits, or for those of a plan that was kept.
type Apply struct {
	Digest         string    `json:"digest,omitempty"`
	Plan           *KeptPlan `json:"plan,omitempty"`
	ConfirmDeletes int       `json:"confirmDeletes,omitempty"` // the exact count, where a guard asks for it
	Identity       string    `json:"-"`                        // who asks, as authenticated
}

// Agreed is what Apply has let go on.
type Agreed struct {
	Digest string      `json:"digest"`
	Steps  []plan.Step `json:"steps"`
}

// ProgressQuery asks how far steps are that somebody has agreed to.
type ProgressQuery struct {
	Steps []plan.Step `json:"steps"`
}

// Progress is how far a step is.
type Progress struct {
	Status forge.StepStatus `json:"status"`
	Why    string           `json:"why,omitempty"`
}

// KeptPlan is a plan as it was shown, of a tree that the branch has by now. It is part of a Previewed.
type KeptPlan struct {
	Digest string      `json:"digest"`
	Tree   string      `json:"tree"`
	Steps  []plan.Step `json:"steps"`
}

// Preview asks what a tree of declarations would change.
type Preview struct {
	Files []load.File
}

// Previewed is the answer: the plan, or the problems that stand in its way.
type Previewed struct {
	Digest   string           `json:"digest,omitempty"`
	Tree     string           `json:"tree"`
	Base     string           `json:"base"` // the commit that the branch is at
	Steps    []plan.Step      `json:"steps"`
	Problems []schema.Problem `json:"problems"`
	Warnings []schema.Problem `json:"warnings"`
	Vetoes   []plan.Veto      `json:"vetoes"`
	Clashes  []plan.Clash     `json:"clashes"`
	Unknown  []resource.Key   `json:"unknown"`
}

// Refused is an answer that a rule or a guard gave: nothing went wrong, but it is not done.
type Refused struct{ Why string }

func (r *Refused) Error() string { return r.Why }

func refuse(format string, args ...any) error { return &Refused{fmt.Sprintf(format, args...)} }

// request is a question to the loop.
type request struct {
	ask    any // Apply, Settle, Freeze, ResourcesQuery, ProgressQuery, ExplainQuery or previewLoaded
	answer chan any
}

// looks tells whether a request changes nothing.
func (q request) looks() bool {
	switch q.ask.(type) {
	case previewLoaded, ResourcesQuery, ProgressQuery, ExplainQuery:
		return true
	}
	return false
}

type previewLoaded struct {
	files  Tree
	loaded load.Commit
}

// Apply agrees to what waits for a person. A *Refused says why it is not done.
func (r *Reconciler) Apply(ctx context.Context, q Apply) (Agreed, error) {
	return asked[Agreed](ctx, r, q)
}

// Progress tells how far each of the steps is, in their order.
func (r *Reconciler) Progress(ctx context.Context, q ProgressQuery) ([]Progress, error) {
	return asked[[]Progress](ctx, r, q)
}

// Preview plans a tree of declarations as a pull with it would be planned.
func (r *Reconciler) Preview(ctx context.Context, q Preview) (Previewed, error) {
	loaded, err := r.Loader.Load(ctx, q.Files)
	if err != nil {
		return Previewed{}, fmt.Errorf("evaluate: %w", err)
	}
	return asked[Previewed](ctx, r, previewLoaded{TreeOf(q.Files), loaded})
}

// asked asks the loop for an answer of a type, or an error.
func asked[A any](ctx context.Context, r *Reconciler, q any) (none A, err error) {
	got, err := r.ask(ctx, q)
	if err != nil {
		return none, err
	}
	switch a := got.(type) {
	case A:
		return a, nil
	case error:
		return none, a
	}
	return none, errors.New("no answer")
}

func (r *Reconciler) ask(ctx context.Context, q any) (any, error) {
	answer := make(chan any, 1)
	r.send(ctx, request{q, answer})
	select {
	case got := <-answer:
		return got, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// History is what the audit says of a name, oldest first, and at most limit entries.
func (r *Reconciler) History(ctx context.Context, name string, limit int) ([]audit.Entry, error) {
	return r.Books.Audit.History(ctx, name, limit)
}

// VerifyAudit tells the first entry of the audit that was changed, or is missing.
func (r *Reconciler) VerifyAudit(ctx context.Context) error { return r.Books.Audit.Verify(ctx) }

// reply answers a request, unless it has to wait for verdicts.
func (l *loop) reply(ctx context.Context, m request) {
	switch a := l.answer(ctx, m).(type) {
	case []unseen:
		l.previews = append(l.previews, waitingPreview{m, a})
	default:
		m.answer <- a
	}
}

// answer is what the loop says to a request. It has none to a preview of contents that nobody has looked at: it names those.
func (l *loop) answer(ctx context.Context, q request) any {
	switch q := q.ask.(type) {
	case Apply:
		apply := l.applyDigest
		if q.Plan != nil {
			apply = l.applyPlan
		}
		agreed, err := apply(ctx, q)
		if err != nil {
			return err
		}
		return agreed
	case ProgressQuery:
		return l.progressOf(q)
	case Settle:
		return l.settle(ctx, q)
	case Freeze:
		return l.setFreeze(ctx, q)
	case ResourcesQuery:
		return l.resources(q)
	case ExplainQuery:
		all, err := l.explain(ctx, q)
		if err != nil {
			return err
		}
		return all
	case previewLoaded:
		return l.preview(q)
	}
	return fmt.Errorf("unknown request %T", q.ask)
}

func (l *loop) preview(q previewLoaded) any {
	if l.tip.Hash == "" {
		if l.sourceError != nil {
			return fmt.Errorf("the branch was not evaluated yet: %w", l.sourceError)
		}
		return errors.New("the branch was not evaluated yet; try again in a moment")
	}
	p := &pull{pullLoaded: pullLoaded{files: &q.files, loaded: q.loaded, base: l.tip.Hash}, tree: q.files.ID}
	if l.planPull(p); len(p.unseen) > 0 {
		return p.unseen
	}
	return Previewed{Digest: p.plan.Digest, Tree: p.tree, Base: l.tip.Hash, Steps: p.plan.Steps,
		Problems: p.problems, Warnings: p.warnings, Vetoes: p.vetoes, Clashes: p.clashes, Unknown: p.unknown}
}

// Review is the preview as people are told it.
func (p Previewed) Review() forge.Review {
	return forge.Review{Base: p.Base, Tree: p.Tree, Digest: p.Digest, Steps: forge.StepsOf(p.Steps), Problems: p.Problems, Warnings: p.Warnings,
		Vetoes: p.Vetoes, Clashes: p.Clashes, Unknown: p.Unknown}
}
