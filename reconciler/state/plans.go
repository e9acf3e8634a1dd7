package state

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Plan is what merging a pull would do, as planned for a tree.
type Plan struct {
	Digest   string           `json:"digest"`
	Pull     int              `json:"pull"`
	Head     string           `json:"head"`
	Tree     string           `json:"tree"`
	Steps    []plan.Step      `json:"steps"`
	Problems []schema.Problem `json:"problems,omitempty"` // of the pull's own declarations
	Clashes  []plan.Clash     `json:"clashes,omitempty"`
	At       time.Time        `json:"at"`
	Posted   bool             `json:"posted"` // it stands on the pull: people could see it
	Newer    *Newer           `json:"newer,omitempty"`
}

// Newer is a plan that may stand on the pull by now in place of the one that is known to: it was handed out, and no answer came yet.
type Newer struct {
	Digest string   `json:"digest"`
	Steps  []string `json:"steps"` // IDs
}

// Shown are the steps that people were shown, whichever of the two plans stands there.
func (p Plan) Shown() []plan.Step {
	if p.Newer == nil {
		return p.Steps
	}
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s plan.Step) bool { return !slices.Contains(p.Newer.Steps, s.ID()) })
}

// WithNewer is the plan with another that may stand in its place; the same one is none.
func (p Plan) WithNewer(next Plan) Plan {
	p.Newer = nil
	if next.Digest != p.Digest {
		p.Newer = &Newer{Digest: next.Digest, Steps: []string{}}
		for _, s := range next.Steps {
			p.Newer.Steps = append(p.Newer.Steps, s.ID())
		}
	}
	return p
}

// Plans keeps the plan that stands on each pull.
type Plans struct{ Store Store }

const planTable = "plan-pull"

// Put writes a plan. One that was not posted does not replace a posted one: what people saw is what counts as shown.
func (v Plans) Put(ctx context.Context, p Plan) error {
	if !p.Posted {
		return nil
	}
	return write(ctx, v.Store, planTable, pullKey(p.Pull), p)
}

// Announce notes that a plan is about to be posted.
func (v Plans) Announce(ctx context.Context, next Plan) error {
	stands, ok, err := v.ByPull(ctx, next.Pull)
	if err != nil || !ok {
		return err
	}
	announced := stands.WithNewer(next)
	if reflect.DeepEqual(announced.Newer, stands.Newer) {
		return nil
	}
	return v.Put(ctx, announced)
}

// ByPull is the plan that was last posted on a pull.
func (v Plans) ByPull(ctx context.Context, number int) (Plan, bool, error) {
	p, _, ok, err := read[Plan](ctx, v.Store, planTable, pullKey(number))
	return p, ok, err
}

func pullKey(number int) string { return fmt.Sprintf("%09d", number) }

// Approval says who agreed to a step.
type Approval struct {
	Key       resource.Key `json:"key"` // of the step
	By        string       `json:"by"`  // "pull #7", or the identity that applied
	At        time.Time    `json:"at"`
	Digest    string       `json:"digest"`
	Confirmed bool         `json:"confirmed,omitempty"` // the count that a guard asked for was typed
}

// Approvals are the approvals by step ID.
type Approvals struct{ Store Store }

const approvalTable = "approval"

// Put writes an approval.
func (v Approvals) Put(ctx context.Context, step string, a Approval) error {
	return write(ctx, v.Store, approvalTable, step, a)
}

// Delete takes an approval back; one that is not there is no error.
func (v Approvals) Delete(ctx context.Context, step string) error {
	return v.Store.Write(ctx, Op{Table: approvalTable, Key: step, Version: Any})
}
