package reconciler_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/fixtures"
	"github.com/edgewright/edgewright/fixtures/conformance"
	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/aws/route53"
	"github.com/edgewright/edgewright/reconciler/forge"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// bench is a reconciler among parts that the test holds in its hands: a repository of maps, a strict Route53 over HTTP, proxies
// that acknowledge when told to, and a forge that remembers what was said. The store is SQLite and survives a restart.
type bench struct {
	*testing.T
	world      *world.World
	zones      map[string]string // name → id
	repository *repository
	proxies    *proxies
	forge      *board
	store      *sqlite.Store
	dir        string
	ahead      atomic.Int64 // nanoseconds by which the reconciler's clock is
	yield      time.Duration
	validator  reconciler.Validator
	registry   *prometheus.Registry

	*reconciler.Reconciler
	stop func()
}

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchOf(t, fixtures.Declarations(fixtures.EdgeConfig()), func(*bench) {})
}

// newBenchOf starts with files, in a world that was prepared.
func newBenchOf(t *testing.T, files []load.File, prepare func(*bench)) *bench {
	t.Helper()
	t.Parallel()
	b := &bench{T: t, world: world.Start(t, world.Options{Settle: 20 * time.Millisecond}), zones: map[string]string{}, dir: t.TempDir()}
	for _, name := range []string{"acme.example", "acme.internal"} {
		b.zones[name] = b.world.Zone(name)
	}
	b.repository = &repository{trees: map[string][]load.File{}}
	b.repository.commit(files)
	b.proxies = &proxies{changes: make(chan struct{}, 1), releases: map[schema.FleetID]xds.Release{}, acking: true}
	b.forge = &board{said: map[forge.Target]forge.Review{}, merged: map[string]forge.Pull{}}
	prepare(b)
	b.start()
	return b
}

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

// start runs a reconciler on what the last one left.
func (b *bench) start() {
	b.Helper()
	b.startWith(b.forge)
}

// startWith is start with another forge, in place of a reconciler that may still run.
func (b *bench) startWith(f reconciler.Forge) {
	b.Helper()
	if b.stop != nil {
		b.stop()
	}
	var err error
	if b.store, err = sqlite.Open(b.Context(), b.dir); err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(testWriter{b.T}, nil))
	b.Reconciler = reconciler.New(reconciler.Config{
		Log: log, Now: b.now, Repository: b.repository,
		Loader:   &load.Loader{Evaluator: &load.Trusted{}, Today: func() schema.Date { return schema.DateOf(b.now()) }},
		Provider: b.provider(), Proxies: b.proxies, Validator: b.validator, Forge: f, Books: reconciler.BooksOf(b.store),
		Metrics: b.metrics(), Margin: 50 * time.Millisecond,
		Every: reconciler.Every{Poll: 20 * time.Millisecond, Observe: 100 * time.Millisecond, Settle: 10 * time.Millisecond, Sweep: time.Second, Yield: b.yield},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Reconciler.Run(ctx) }()
	var once sync.Once
	b.stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				b.Error("run:", err)
			}
			if err := b.store.Close(); err != nil {
				b.Error(err)
			}
		})
	}
	b.Cleanup(b.stop)
}

func (b *bench) metrics() *reconciler.Metrics {
	b.registry = prometheus.NewRegistry()
	return reconciler.NewMetrics(b.registry)
}

func (b *bench) provider() *route53.Provider {
	p := route53.New(conformance.Config(b.world.URL))
	p.Now = b.now
	return p
}

// until waits for a condition, and fails with the view when it does not come.
func (b *bench) until(what string, is func() bool) {
	b.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if is() {
			return
		}
	}
	v := b.View()
	for _, s := range v.Steps {
		b.Logf("step %s %s: %s %s", s.Verb, s.Key, s.State, s.Why)
	}
	b.Fatalf("never came: %s\nproblems %v source %q forge %q zones %+v", what, v.Problems, v.Source, v.Forge, v.Zones)
}

// converged waits until nothing is left to do at the tip.
func (b *bench) converged() {
	b.Helper()
	b.until("converged", func() bool {
		v := b.View()
		return v.Commit == b.repository.tip() && len(v.Steps) == 0 && len(v.Services) > 0 && !slices.ContainsFunc(v.Zones, func(z reconciler.ZoneView) bool { return z.Taken.IsZero() }) &&
			!slices.ContainsFunc(v.Services, func(s reconciler.ServiceView) bool { return s.State != "converged" })
	})
}

// records are the addresses by name of a zone.
func (b *bench) records(zone string) map[string]string {
	out := map[string]string{}
	for _, r := range b.world.Records(b.zones[zone]) {
		if r.Type == "A" {
			values := r.Values()
			slices.Sort(values)
			out[strings.TrimSuffix(r.Name, ".")] = strings.Join(values, " ")
		}
	}
	return out
}

type testWriter struct{ *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// repository is a branch of trees. A pull's head is a tree that is not on it.
type repository struct {
	mu    sync.Mutex
	line  []reconciler.Commit
	trees map[string][]load.File
	err   error
}

// commit puts files on the branch.
func (r *repository) commit(files []load.File) string { return r.add(files, true) }

func (r *repository) add(files []load.File, branch bool) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	hash := fmt.Sprintf("%040d", len(r.trees)+1)
	r.trees[hash] = files
	if branch {
		r.line = append(r.line, reconciler.Commit{Hash: hash, Subject: "change " + hash, Author: "ann"})
	}
	return hash
}

func (r *repository) tip() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.line[len(r.line)-1].Hash
}

func (r *repository) files(hash string) []load.File {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.trees[hash]
}

func (r *repository) Fetch(context.Context, string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

func (r *repository) Tip() (reconciler.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.line[len(r.line)-1], nil
}

func (r *repository) Files(_ context.Context, commit string) (reconciler.Tree, error) {
	return reconciler.TreeOf(r.files(commit)), nil
}

// Merged knows heads that were made from the tip only: then the merge is the head's tree.
func (r *repository) Merged(ctx context.Context, head string) (reconciler.Tree, error) {
	return r.Files(ctx, head)
}

func (r *repository) Between(after, upTo string, limit int) ([]reconciler.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []reconciler.Commit
	if after != "" && !slices.ContainsFunc(r.line, func(c reconciler.Commit) bool { return c.Hash == after }) {
		return r.line[len(r.line)-1:], nil // rewritten
	}
	for _, c := range slices.Backward(r.line) {
		if c.Hash == after || len(out) == limit {
			break
		}
		out = append(out, c)
	}
	return out, nil
}

// with is the fixture's files with one changed, added or, when text is empty, removed.
func with(files []load.File, path string, change func(string) string) []load.File {
	out := slices.Clone(files)
	i := slices.IndexFunc(out, func(f load.File) bool { return f.Path == path })
	if i < 0 {
		out = append(out, load.File{Path: path})
		i = len(out) - 1
	}
	text := change(string(out[i].Data))
	out[i] = load.File{Path: path, Data: []byte(text)}
	return slices.DeleteFunc(out, func(f load.File) bool { return len(f.Data) == 0 })
}

func gone(string) string { return "" }

// proxies have what was published, once they acknowledge.
type proxies struct {
	mu       sync.Mutex
	changes  chan struct{}
	releases map[schema.FleetID]xds.Release
	have     map[schema.FleetID]xds.Release
	acking   bool
	slow     map[schema.ServiceID]bool // that they have not taken yet
	nodes    []xds.Node
	refusals []xds.Refusal
	history  []xds.Release
}

func (p *proxies) Publish(r xds.Release) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.releases[r.Fleet.ID] = r
	p.history = append(p.history, r)
	if p.acking {
		p.have = maps.Clone(p.releases)
		p.poke()
	}
}

func (p *proxies) acknowledge(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.acking = on
	if on {
		p.have = maps.Clone(p.releases)
		p.poke()
	}
}

func (p *proxies) poke() {
	select {
	case p.changes <- struct{}{}:
	default:
	}
}

func (p *proxies) Acknowledged(f schema.FleetID, s schema.ServiceID) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slow[s] {
		return "", false
	}
	return p.have[f].Services[s].Version, true
}

func (p *proxies) Changes() <-chan struct{} { return p.changes }

func (p *proxies) Nodes() []xds.Node {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.nodes
}

// slowTo has a proxy that does not take a service before it is told to.
func (p *proxies) slowTo(id schema.ServiceID, n xds.Node) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.slow, p.nodes = map[schema.ServiceID]bool{id: true}, []xds.Node{n}
}

// takes has the proxies take a service that they were slow to.
func (p *proxies) takes(id schema.ServiceID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.slow, id)
	p.poke()
}

func (p *proxies) Refusals() []xds.Refusal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.refusals)
}

// serves tells whether the fleet answers for a host, and by which service.
func (p *proxies) serves(host schema.Hostname) (schema.ServiceID, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range holders(p.releases["edge"], host) {
		return id, true
	}
	return "", false
}

// board is a forge that remembers the newest review of each target.
type board struct {
	mu     sync.Mutex
	open   []forge.Pull
	merged map[string]forge.Pull
	said   map[forge.Target]forge.Review
}

func (f *board) Pulls(context.Context) ([]forge.Pull, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.open), nil
}

func (f *board) PullOf(_ context.Context, commit string) (forge.Pull, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.merged[commit]
	return p, ok, nil
}

func (f *board) Post(_ context.Context, to forge.Target, r forge.Review) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.said[forge.Target{Pull: to.Pull, SHA: to.SHA}] = r
	return nil
}

func (f *board) Commands(context.Context, int) ([]forge.Command, error) { return nil, nil }

func (f *board) review(pull int) (forge.Review, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for to, r := range f.said {
		if to.Pull == pull {
			return r, true
		}
	}
	return forge.Review{}, false
}

// propose opens a pull with files, made from the tip.
func (b *bench) propose(number int, files []load.File) {
	head := b.repository.add(files, false)
	b.forge.mu.Lock()
	defer b.forge.mu.Unlock()
	b.forge.open = append(b.forge.open, forge.Pull{Number: number, Head: head, Title: fmt.Sprint("pull ", number)})
	slices.SortFunc(b.forge.open, func(a, b forge.Pull) int { return cmp.Compare(a.Number, b.Number) })
}

// merge closes a pull and puts its files on the branch.
func (b *bench) merge(number int) string {
	b.forge.mu.Lock()
	defer b.forge.mu.Unlock()
	i := slices.IndexFunc(b.forge.open, func(p forge.Pull) bool { return p.Number == number })
	p := b.forge.open[i]
	b.forge.open = slices.Delete(b.forge.open, i, i+1)
	p.Merged = b.repository.commit(b.repository.files(p.Head))
	b.forge.merged[p.Merged] = p
	return p.Merged
}

var _ state.Store = (*sqlite.Store)(nil)
