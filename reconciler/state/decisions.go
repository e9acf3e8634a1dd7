package state

import (
	"context"
	"encoding/json"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// Decision is what a person decided about one resource: to adopt what exists, or to keep what somebody else has changed.
type Decision struct {
	Key   resource.Key `json:"key"`
	Adopt bool         `json:"adopt,omitempty"`
	Kept  *plan.Kept   `json:"kept,omitempty"`
	By    string       `json:"by"`
	At    time.Time    `json:"at"`
}

// Decisions are those that stand, by key.
type Decisions struct{ Store Store }

const decisionTable = "decision"

// Put writes a decision in place of the one before.
func (v Decisions) Put(ctx context.Context, d Decision) error {
	return write(ctx, v.Store, decisionTable, d.Key.String(), d)
}

// Delete drops the decision about a key.
func (v Decisions) Delete(ctx context.Context, key resource.Key) error {
	return v.Store.Write(ctx, Op{Table: decisionTable, Key: key.String(), Version: Any})
}

// All reads every decision.
func (v Decisions) All(ctx context.Context) (map[resource.Key]Decision, error) {
	decisions := map[resource.Key]Decision{}
	err := all(ctx, v.Store, decisionTable, func(item Item) error {
		var d Decision
		err := json.Unmarshal(item.Value, &d)
		decisions[d.Key] = d
		return err
	})
	return decisions, err
}
