//go:build unfinished

// Package reconciler is the loop that makes AWS and the proxies match the branch of a git repository, and that tells each pull what
// merging it would do. Read this file first, then run.go (when a pass runs), pass.go (what a pass does), apply.go (how a change goes
// out) and pulls.go (what a pull is told).
//
// It speaks to nothing itself: git, AWS, the proxies, the forge and the store are behind the interfaces below.
package reconciler

import (
	"context"
	"log/slog"
	"time"

	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Repository is the mirror of edge-config. Commits are named by their hash.
type Repository interface {
	// Fetch brings the branch and the heads of the pulls up to date.
	Fetch(ctx context.Context) error
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
	Kinds() []resource.Kind
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
}

// Every says how often something happens that no event asks for. Zero takes the default in brackets.
type Every struct {
	Poll    time.Duration // fetch without a webhook (15s)
	Observe time.Duration // list each zone (60s)
	Settle  time.Duration // ask whether a change has spread (2s)
	Sweep   time.Duration // compare everything, not just what changed (5m)
}

// Reconciler is the loop. Fill in the fields, then Run.
type Reconciler struct {
	Log        *slog.Logger
	Now        func() time.Time
	Repository Repository
	Loader     Loader
	Provider   Provider
	Proxies    Proxies
	Forge      Forge // nil: nobody is told
	Books      Books
	Limits     plan.Limits
	Every      Every
	Margin     time.Duration // that a name lingers beyond its TTL (1s)
	StatusURL  string        // of the status page, for links in reviews

	mail chan any // events for the loop; made by New
	view viewCell
}
