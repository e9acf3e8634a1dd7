package reconciler

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// loop is what the reconciler knows. Only the goroutine of Run touches it.
type loop struct {
	*Reconciler
	ctx context.Context // of Run

	// From the branch.
	tip         Commit
	tree        string
	blobs       map[string]string // hash of each file of the tip, by path
	seen        time.Time         // when the tip was heard of
	edge        schema.Edge
	problems    []schema.Problem
	warnings    []schema.Problem
	held        held
	frozen      bool                       // a problem of the platform or the schema: the edge stays as it was
	loaded      bool                       // a commit was evaluated since the start
	shown       map[resource.Key]plan.Step // what the tip changes
	goodDue     bool                       // the edge in effect is not stored yet
	good        *schema.Edge               // the one that is stored; nil: not known
	before      string                     // the commit that took effect last before this start
	served      time.Duration              // from the tip being heard of until every proxy had it; 0: not yet
	sourceError error
	forgeError  error

	// What follows from it.
	desired   resource.Set
	byService map[schema.ServiceID][]resource.Key
	platform  renderedPlatform // the one rendered last

	// What is.
	zones    map[resource.Scope]*zone
	releases map[schema.FleetID]*fleet
	owned    map[resource.Key]state.Entry
	homes    map[resource.Key]struct{} // keys owned or desired anew, of which rehome has not said that they lead where they are to

	// What differs.
	dirty   map[resource.Key]bool
	steps   map[resource.Key]plan.Step
	clashes map[resource.Key]plan.Clash
	unknown map[resource.Key]bool
	status  map[resource.Key]Status // of each step, as of the last pass
	vetoes  []plan.Veto
	coming  map[place][]plan.Step // that make what may take another's place

	// Who agreed to it, what went wrong, what is under way.
	approvals map[string]state.Approval // by step ID
	decisions map[resource.Key]state.Decision
	freezes   map[string]state.Freeze
	failures  map[string]failure // by step ID
	flights   map[string]flight  // by intent
	drifts    []Drift

	pulls  map[int]*pull
	merged map[int]*followed
	units  map[string]envoy.Unit // decoded contents of the releases, by hash

	// What Envoy says of contents, by hash.
	verdicts     map[string]state.Verdict
	verdictsKept time.Time       // when those that nobody uses were last dropped
	used         []string        // contents whose verdicts were used, since then
	validating   map[string]bool // contents that are being looked at
	validations  int             // that are under way
	branch       branchLoaded    // the tip, as long as something of it is unseen
	unseen       []unseen        // of the branch: held until somebody has looked
	unseenSteps  []unseen        // of steps that are not held
	previews     []waitingPreview

	swept      time.Time
	told       time.Time     // when reviews and the view were last made
	handed     time.Time     // when proxies were first handed something since
	telling    time.Duration // how long that took
	worded     map[forge.Target]wording
	wordedLast map[forge.Target]wording // the time before
	stale      bool                     // something changed since
	aged       bool                     // zones were listed since, and nothing came of it
	alarms     map[string]time.Time     // what to wake up for
	asks       []*shownAsk              // for what merged pulls had shown
	aside      func(ctx context.Context, work func() any)
	calls      context.Context // of writing calls: it outlives Run's for a while
	cut        context.CancelFunc
	background sync.WaitGroup
}

// zone is a scope of AWS as last observed.
type zone struct {
	snapshot  *plan.Snapshot // nil: never observed
	observing bool
	due       time.Time
	wrote     time.Time // when a call for it was last started or came back: older observations are void
	err       error
	since     time.Time // of err
	failed    int       // listings in a row
	limit     int       // steps a call may hold, halved when AWS refuses one; 0: any
	gather    gathering // steps that are ready and wait for others
}

// meets tells whether two flights are about the same keys.
func (f flight) meets(other flight) bool {
	return slices.ContainsFunc(f.intent.Steps, func(s plan.Step) bool {
		return slices.ContainsFunc(other.intent.Steps, func(o plan.Step) bool { return o.Key == s.Key })
	})
}

// fleet is a release as stored.
type fleet struct {
	release  release.Release
	stored   release.Release // as of the last write
	handed   release.Release // as proxies were handed it last,
	out      xds.Release     // and as they got it then
	version  int64           // of the stored item
	snapshot plan.Snapshot   // of the release
	holders  release.Holders // of its names; nil: to be found out
}

// failure keeps a step that went wrong from being tried in a circle.
type failure struct {
	why   string
	times int
	retry time.Time
}

// holds tells whether the keys of a flight have to wait for it.
func (f flight) holds() bool { return f.absent.IsZero() }

// flight is a call whose outcome is not final.
type flight struct {
	intent  state.Intent
	started time.Time
	doubt   bool      // no answer came: observations tell
	absent  time.Time // in doubt, and since when observations do not show it: it is not waited for, but may still come
	asking  bool      // whether it has spread
	ask     time.Time // when to ask next

	half      time.Time // in doubt, and since when a part of it is seen
	inherited bool      // begun by a process before this one, which may still be sending it
	passed    bool      // in doubt, and a later call about the same was taken
}

// State of a step.
type State string

const (
	Ready    State = "ready"    // goes out in this pass
	Applying State = "applying" // its call is under way, or has not spread yet
	Waits    State = "waits"    // for another resource
	Approval State = "approval" // for a person: nobody was shown it, and it takes traffic away or the service only reports
	Paused   State = "paused"   // its service is to be left alone
	Frozen   State = "frozen"   // nothing may change now
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
	Kept    string             `json:"kept,omitempty"` // who has decided to leave it as it is
	State   State              `json:"state,omitempty"`
}

func newLoop(ctx context.Context, r *Reconciler) *loop {
	l := &loop{
		Reconciler: r,
		ctx:        ctx,
		desired:    resource.Set{},
		byService:  map[schema.ServiceID][]resource.Key{},
		zones:      map[resource.Scope]*zone{},
		releases:   map[schema.FleetID]*fleet{},
		owned:      map[resource.Key]state.Entry{},
		homes:      map[resource.Key]struct{}{},
		dirty:      map[resource.Key]bool{},
		steps:      map[resource.Key]plan.Step{},
		shown:      map[resource.Key]plan.Step{},
		clashes:    map[resource.Key]plan.Clash{},
		unknown:    map[resource.Key]bool{},
		status:     map[resource.Key]Status{},
		approvals:  map[string]state.Approval{},
		decisions:  map[resource.Key]state.Decision{},
		freezes:    map[string]state.Freeze{},
		failures:   map[string]failure{},
		flights:    map[string]flight{},
		pulls:      map[int]*pull{},
		merged:     map[int]*followed{},
		units:      map[string]envoy.Unit{},
		alarms:     map[string]time.Time{},
		verdicts:   map[string]state.Verdict{},
		validating: map[string]bool{},
	}
	l.aside = l.beside
	l.calls, l.cut = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// beside runs work that waits for somebody, beside the loop, which is told what came of it unless the context ends before.
func (l *loop) beside(ctx context.Context, work func() any) {
	l.background.Go(func() { l.send(ctx, work()) })
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

func sortedKeysFunc[K comparable, V any](m map[K]V, compare func(K, K) int) []K {
	return slices.SortedFunc(maps.Keys(m), compare)
}
