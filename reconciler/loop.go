//go:build unfinished

package reconciler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// loop is what the reconciler knows. Only the goroutine of Run touches it.
type loop struct {
	*Reconciler

	// From the branch.
	tip         Commit
	tree        string
	seen        time.Time // when the tip was heard of
	edge        schema.Edge
	problems    []schema.Problem
	held        held
	frozen      bool // a problem of the platform or the schema: the edge stays as it was
	sourceError error

	// What follows from it.
	desired   resource.Set
	byService map[schema.ServiceID][]resource.Key

	// What is.
	zones    map[resource.Scope]*zone
	releases map[schema.FleetID]*fleet
	owned    map[resource.Key]state.Entry

	// What differs.
	dirty   map[resource.Key]bool
	steps   map[resource.Key]plan.Step
	clashes map[resource.Key]plan.Clash
	unknown map[resource.Key]bool
	status  map[resource.Key]Status // of each step, as of the last pass
	vetoes  []plan.Veto

	// Who agreed to it, what went wrong, what is under way.
	approvals map[string]state.Approval // by step ID
	failures  map[resource.Key]failure
	flights   map[string]flight // by intent
	drifts    []Drift

	pulls  map[int]*pull
	merged map[int]*merged

	swept      time.Time
	alarms     map[string]time.Time // what to wake up for
	background sync.WaitGroup
	posted     map[string]string
}

// zone is a scope of AWS as last observed.
type zone struct {
	snapshot  *plan.Snapshot // nil: never observed
	observing bool
	due       time.Time
	wrote     time.Time // when a call for it was last started or came back: older observations are void
	err       error
	since     time.Time // of err
	limit     int       // steps a call may hold, halved when AWS refuses one; 0: any
}

// fleet is a release as stored.
type fleet struct {
	release   release.Release
	version   int64 // of the stored item
	published map[schema.ServiceID]time.Time
	ports     schema.Fleet
}

// failure keeps a step that went wrong from being tried in a circle.
type failure struct {
	why   string
	times int
	retry time.Time
}

// flight is a call whose outcome is not final.
type flight struct {
	intent  state.Intent
	asking  bool // whether it has spread
	started time.Time
}

// State of a step.
type State string

const (
	Ready    State = "ready"    // goes out in this pass
	Applying State = "applying" // its call is under way, or has not spread yet
	Waits    State = "waits"    // for another resource
	Approval State = "approval" // for a person: nobody was shown it and it takes traffic away
	Vetoed   State = "vetoed"   // a guard refuses it
	Clashes  State = "clashes"  // something that is not ours is in its way
	Failing  State = "failing"  // tried and refused; tried again later
)

// Status says where a step stands.
type Status struct {
	State State  `json:"state"`
	Why   string `json:"why,omitempty"`
}

// Drift is a change that somebody else made to something of ours.
type Drift struct {
	Key     resource.Key       `json:"key"`
	Service schema.ServiceID   `json:"service,omitempty"`
	Fields  []plan.FieldChange `json:"fields"`
	Found   time.Time          `json:"found"`
	Healed  time.Time          `json:"healed,omitzero"`
	step    string
}

func newLoop(r *Reconciler) *loop {
	return &loop{
		Reconciler: r,
		desired:    resource.Set{},
		byService:  map[schema.ServiceID][]resource.Key{},
		zones:      map[resource.Scope]*zone{},
		releases:   map[schema.FleetID]*fleet{},
		owned:      map[resource.Key]state.Entry{},
		dirty:      map[resource.Key]bool{},
		steps:      map[resource.Key]plan.Step{},
		clashes:    map[resource.Key]plan.Clash{},
		unknown:    map[resource.Key]bool{},
		status:     map[resource.Key]Status{},
		approvals:  map[string]state.Approval{},
		failures:   map[resource.Key]failure{},
		flights:    map[string]flight{},
		pulls:      map[int]*pull{},
		merged:     map[int]*merged{},
		alarms:     map[string]time.Time{},
		posted:     map[string]string{},
	}
}

// sortedSteps are the pending steps in the order of their keys.
func (l *loop) sortedSteps() []plan.Step {
	return slices.SortedFunc(maps.Values(l.steps), func(a, b plan.Step) int { return a.Key.Compare(b.Key) })
}

// alarm wakes the loop at a time; the earliest of the same name counts.
func (l *loop) alarm(name string, at time.Time) {
	if old, set := l.alarms[name]; !set || at.Before(old) {
		l.alarms[name] = at
	}
}

func (l *loop) log(ctx context.Context, msg string, args ...any) {
	l.Log.InfoContext(ctx, msg, append([]any{"commit", short(l.tip.Hash)}, args...)...)
}

func short(hash string) string { return hash[:min(len(hash), 10)] }

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
