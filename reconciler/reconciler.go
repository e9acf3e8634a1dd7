// Package reconciler is the loop that makes AWS and the proxies match the branch of a git repository, and that tells each pull what
// merging it would do. Read this file first, then run.go (when a pass runs), pass.go (what a pass does), apply.go (how a change goes
// out), doubt.go (when no answer comes), pulls.go (what a pull is told) and validation.go (when Envoy looks at what it has not seen).
//
// It speaks to nothing itself: git, AWS, the proxies, the forge and the store are behind the interfaces below.
package reconciler

import (
	"context"
	"log/slog"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Repository is the mirror of edge-config. Commits are named by their hash.
type Repository interface {
	// Fetch brings the branch and the heads of the pulls up to date. told is the commit that the branch is said to be at, or empty.
	Fetch(ctx context.Context, told string) error
	// Tip is the newest commit of the branch that was fetched.
	Tip() (Commit, error)
	// Files are the declarations at a commit, and the identity of their tree.
	Files(ctx context.Context, commit string) (Tree, error)
	// Merged are the declarations that merging head into the tip would give. A conflict is a *Conflict.
	Merged(ctx context.Context, head string) (Tree, error)
	// Between are the commits of the branch after one and up to another, newest first, by first parents.
	Between(after, upTo string, limit int) ([]Commit, error)
}

// Loader evaluates declarations. Problems are part of the result; an error means that nothing could be evaluated.
type Loader interface {
	Load(ctx context.Context, files []load.File) (load.Commit, error)
}

// Provider makes one kind of thing in AWS.
type Provider interface {
	// Declare says which zones and accounts there are, and with which value of the marker record zones are ours.
	Declare(mark string, platform schema.Platform)
	// Observe lists a scope, ours and foreign, completely, or fails.
	Observe(ctx context.Context, scope resource.Scope) (plan.Snapshot, error)
	// Refuse names the steps that AWS would refuse, before any call.
	Refuse(snapshot plan.Snapshot, steps []plan.Step) []plan.Clash
	// Pack divides steps into the fewest calls.
	Pack(steps []plan.Step) []plan.Batch
	// Apply makes exactly one writing call. An error says nothing about whether AWS took it.
	Apply(ctx context.Context, batch plan.Batch) (plan.Outcome, error)
	// Settled tells whether a change that AWS took is in effect everywhere.
	Settled(ctx context.Context, token string) (bool, error)
}

// Proxies are the connected Envoys.
type Proxies interface {
	Publish(xds.Release)
	// Acknowledged is the version of a service that every connected proxy of the fleet has; ok is false when none is connected.
	Acknowledged(schema.FleetID, schema.ServiceID) (version string, ok bool)
	Changes() <-chan struct{}
	Nodes() []xds.Node
	Refusals() []xds.Refusal
}

// Forge is where pulls are.
type Forge interface {
	Pulls(ctx context.Context) ([]forge.Pull, error)
	// PullOf is the merged pull that a commit of the branch came from.
	PullOf(ctx context.Context, commit string) (forge.Pull, bool, error)
	Post(ctx context.Context, to forge.Target, r forge.Review) error
	// Commands are what people asked for in comments on a pull, oldest first.
	Commands(ctx context.Context, pull int) ([]forge.Command, error)
}

// Every says how often something happens that no event asks for. Zero takes the default in brackets.
type Every struct {
	Poll    time.Duration // fetch without a webhook (15s)
	Observe time.Duration // list each zone (60s)
	Settle  time.Duration // ask whether a change has spread (2s)
	Sweep   time.Duration // compare everything, not just what changed (5m)
	Tell    time.Duration // make reviews and the view while things change, at most (100ms)
	Yield   time.Duration // after proxies were handed something, make none for so long: proxies come first (200ms; negative: at once)
}

// Books are the views of the store that the loop writes.
type Books struct {
	Contents  state.Contents
	Inventory state.Inventory
	Journal   state.Journal
	Plans     state.Plans
	Approvals state.Approvals
	Releases  state.Releases
	LastGood  state.LastGood
	Decisions state.Decisions
	Freezes   state.Freezes
	Verdicts  state.Verdicts
	Audit     audit.Log
}

// BooksOf are all views of one store.
func BooksOf(s state.Store) Books {
	return Books{state.Contents{Store: s}, state.Inventory{Store: s}, state.Journal{Store: s}, state.Plans{Store: s},
		state.Approvals{Store: s}, state.Releases{Store: s}, state.LastGood{Store: s}, state.Decisions{Store: s}, state.Freezes{Store: s},
		state.Verdicts{Store: s}, audit.Log{Store: s}}
}

// Config is what a reconciler works with.
type Config struct {
	Log        *slog.Logger
	Now        func() time.Time
	Repository Repository
	Loader     Loader
	Provider   Provider
	Proxies    Proxies
	Validator  Validator // nil: contents are not validated
	Forge      Forge     // nil: nobody is told
	Books      Books
	Metrics    *Metrics
	Every      Every
	Margin     time.Duration // that a name lingers beyond its TTL (1s)
	StatusURL  string        // of the status page, for links in reviews
}

// Reconciler is the loop and what others may ask of it. All of its methods are safe for use by many goroutines; Run is called once.
type Reconciler struct {
	Config

	mail      chan any  // what the loop is told
	hints     chan hint // to fetch now
	pullHints chan hint // to look at the pulls now
	posts     *posts
	view      viewCell
}

// New makes a reconciler. It does nothing before Run.
func New(c Config) *Reconciler {
	c.Every = Every{Poll: orDefault(c.Every.Poll, 15*time.Second), Observe: orDefault(c.Every.Observe, time.Minute),
		Settle: orDefault(c.Every.Settle, 2*time.Second), Sweep: orDefault(c.Every.Sweep, 5*time.Minute),
		Tell: orDefault(c.Every.Tell, 100*time.Millisecond), Yield: orDefault(c.Every.Yield, 200*time.Millisecond)}
	c.Margin = orDefault(c.Margin, time.Second)
	return &Reconciler{Config: c, mail: make(chan any, 64), hints: make(chan hint, 1), pullHints: make(chan hint, 1), posts: newPosts()}
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
