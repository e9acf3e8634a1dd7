// Package plan compares what is desired with what is observed and holds the result as data: steps that can be stored, hashed,
// shown and applied, and the guards that veto them.
//
// It makes no call and keeps no state: the reconciler observes before and applies after.
package plan

import (
	"errors"
	"time"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// ErrForgotten says that the provider no longer knows a change that it has taken: what became of it is seen by observing.
var ErrForgotten = errors.New("the change is no longer known")

// Verb is what a step does.
type Verb string

const (
	Create Verb = "create"
	Update Verb = "update"
	Delete Verb = "delete"
	Adopt  Verb = "adopt" // what exists and was not made by us becomes ours: as it is where Before equals After, else by a change
)

// Step is one change of one resource. Key, Verb, Before and After are its identity; the rest explains.
type Step struct {
	Key     resource.Key     `json:"key"`
	Verb    Verb             `json:"verb"`
	Before  resource.Value   `json:"before,omitempty"`
	After   resource.Value   `json:"after,omitempty"`
	Service schema.ServiceID `json:"service,omitempty"`
	Origin  schema.Position  `json:"origin,omitzero"`
	Needs   []resource.Key   `json:"needs,omitempty"` // of the desired resource
	Drift   bool             `json:"drift,omitempty"` // what we last applied is what is desired: somebody else changed it
}

// Snapshot is one scope as observed: complete, or it is not made at all.
type Snapshot struct {
	Scope     resource.Scope                  `json:"scope"`
	Taken     time.Time                       `json:"taken"`
	Resources map[resource.Key]resource.Value `json:"resources"`         // everything in the scope, ours and foreign
	Marked    bool                            `json:"marked"`            // the scope carries our mark
	Foreign   string                          `json:"foreign,omitempty"` // whose mark it carries instead, if another's
}

// Batch is the steps that go out in one call.
type Batch struct {
	Scope  resource.Scope `json:"scope"`
	Intent string         `json:"intent,omitempty"` // the journal's id, carried to AWS where a call has room for a comment
	At     time.Time      `json:"at,omitzero"`      // when it was begun: AWS takes it for a while from then on; zero: from its sending on
	Steps  []Step         `json:"steps"`
}

// Outcome is what one call came to. A change that AWS has taken but not yet spread has a Token to ask about.
type Outcome struct {
	Token   string `json:"token,omitempty"`   // Route53's change id; empty: settled already
	Refused string `json:"refused,omitempty"` // why AWS refused the whole call (a failed precondition, bad input); empty: taken
	Told    string `json:"told,omitempty"`    // the other intent that has what this one may have done, as nobody can tell which of the two was taken
}
