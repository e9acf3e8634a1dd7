package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/reconciler/aws/route53"
	"github.com/edgewright/edgewright/reconciler/certificates"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/forge/github"
	"github.com/edgewright/edgewright/reconciler/jail"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/reconciler/shelf"
	"github.com/edgewright/edgewright/reconciler/source"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
	"github.com/edgewright/edgewright/reconciler/web"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema/load"
)

// daemon is everything that serve runs, joined.
type daemon struct {
	settings settings
	log      *slog.Logger

	store        *sqlite.Store
	process      *os.File // locked as long as this daemon lives
	election     *election.Election
	evaluator    *jail.Evaluator
	source       source.Config
	mirror       *source.Mirror // of the leader
	reconciler   *reconciler.Reconciler
	certificates *certificates.Keeper
	hints        chan github.Hint

	grpc        *grpc.Server
	web         *http.Server
	xdsListener net.Listener // of the leader
	webListener net.Listener
	evaluating  progress
	budgets     *budget.Accounts
	unvalidated string // why Envoy is not asked before services are published; empty: it is
}

// wire joins the concrete parts. It is the only place that knows all of them.
func wire(ctx context.Context, s settings, log *slog.Logger) (d *daemon, err error) {
	registry := prometheus.NewRegistry()
	notices := web.NewNotices(registry)
	log = slog.New(notices.Handler(log.Handler()))
	d = &daemon{settings: s, log: log, hints: make(chan github.Hint, 64)}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	if err := os.MkdirAll(s.State, 0o700); err != nil {
		return d, fmt.Errorf("make state folder: %w", err)
	}
	if d.store, err = sqlite.Open(ctx, s.State); err != nil {
		return d, err
	}
	if err := d.enter(); err != nil {
		return d, err
	}
	d.evaluator = newEvaluator(log)
	if err := d.evaluator.Warm(ctx); err != nil {
		return d, err
	}
	var lc net.ListenConfig
	if d.webListener, err = lc.Listen(ctx, "tcp", s.Web); err != nil {
		return d, fmt.Errorf("listen for pages: %w; choose another address with --web", err)
	}
	if s.StatusURL == "" {
		s.StatusURL = "http://" + d.webListener.Addr().String()
	}
	forge, token, err := forgeClient(s.Forge, log)
	if err != nil {
		return d, err
	}
	d.source = source.Config{Dir: filepath.Join(s.State, "mirror"), URL: s.Repository, Branch: s.Branch, Token: token, Log: log, Unread: load.Unread}
	account, err := config.LoadDefaultConfig(ctx, config.WithDefaultRegion("us-east-1"))
	if err != nil {
		return d, fmt.Errorf("configure AWS: %w", err)
	}
	if forge != nil {
		forge = leadersForge{forge, d.election}
	}
	evaluations, err := shelf.Open(filepath.Join(s.State, "evaluations"), time.Now(), log)
	if err != nil {
		return d, err
	}
	loader := &load.Loader{Evaluator: d.evaluator, Cache: evaluations, Today: today, Progress: d.evaluating.note}
	provider := d.provider(account, registry)
	proxies := xds.New(log, time.Now)
	if proxies.Access, err = s.Admission.Open(log, time.Now); err != nil {
		return d, fmt.Errorf("say who may connect to --xds: %w", err)
	}
	d.certificates = &certificates.Keeper{Log: log, Now: time.Now, Proxies: proxies}
	metrics := reconciler.NewMetrics(registry)
	validator, without, err := newValidator(ctx, s.Envoy, metrics, log)
	if err != nil {
		return d, err
	}
	d.unvalidated = without
	d.reconciler = reconciler.New(reconciler.Config{
		Log: log, Now: time.Now, Repository: repository{d}, Loader: loader, Provider: provider, Proxies: certified{proxies, d.certificates}, Validator: validator, Forge: forge,
		Books: reconciler.BooksOf(state.Fenced{Store: d.store, Epoch: d.election.Epoch}), Metrics: metrics,
		Every: reconciler.Every{Poll: s.Poll, Observe: s.Observe, Settle: s.Settle}, StatusURL: s.StatusURL,
	})
	d.grpc = xds.NewGRPC(leadersOnly(d.election), proxies.Credentials())
	proxies.Register(d.grpc)
	own, err := d.token()
	if err != nil {
		return d, err
	}
	proxies.RegisterStatus(d.grpc, own.Is)
	return d, d.wireWeb(proxies, own, registry, notices)
}

// wireWeb makes pages, API, webhook and metrics.
func (d *daemon) wireWeb(proxies *xds.Server, token secret.Value, registry *prometheus.Registry, notices *web.Notices) error {
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "edgewright_webhook_deliveries_total",
		Help: "Webhook deliveries, by what became of them."}, []string{"outcome"})
	registry.MustRegister(deliveries, web.Collector(d.reconciler, proxies, d.election.Standing), certificates.Collector(d.certificates), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, why := range xds.Reasons() {
		registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "edgewright_xds_turned_away_total", Help: "Connections and streams of proxies that were turned away, by reason.",
			ConstLabels: prometheus.Labels{"reason": string(why)}}, func() float64 { return float64(proxies.TurnedAwayFor(why)) }))
	}
	webhook := github.Handler(d.settings.Forge.WebhookSecret, d.hints, d.log, func(outcome string) { deliveries.WithLabelValues(outcome).Inc() })
	d.web = web.Server(web.New(web.Config{Loop: d.reconciler, Leader: d.election.Standing, Proxies: proxies, Webhook: webhook, Token: token, Gatherer: registry,
		Log: d.log, Now: time.Now, Version: buildVersion().Version, Name: d.settings.Repository, Notices: notices, Unvalidated: d.unvalidated, Budgets: d.budgets.States, Evaluating: d.evaluating.now, Hosts: hostOf(d.settings.StatusURL)}))
	return nil
}

// provider is Route53's, paced so that AWS need not refuse calls for their rate.
func (d *daemon) provider(aws aws.Config, registry *prometheus.Registry) *route53.Provider {
	limits := route53.Limits()
	limits.Account = budget.Limit{Rate: d.settings.Route53Rate, Burst: d.settings.Route53Burst}
	limits.Action = limits.Account
	p := route53.New(aws)
	p.Budgets = budget.NewAccounts(limits, time.Now)
	registry.MustRegister(budget.Collector(p.Budgets))
	d.budgets = p.Budgets
	return p
}

// hostOf is the name under which people ask for the pages, if it is known.
func hostOf(statusURL string) []string {
	u, err := url.Parse(statusURL)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	return []string{u.Hostname()}
}

// enter makes this process known to others on the same state.
func (d *daemon) enter() (err error) {
	known := processesOf(d.settings)
	d.election = &election.Election{Lease: state.Lease{Store: d.store}, Duration: d.settings.Lease, Now: time.Now, Ended: known.ended}
	d.election.Self, d.process, err = known.enter()
	return err
}

func processesOf(s settings) processes { return processes(filepath.Join(s.State, "processes")) }

// forgeClient is the client of the forge and of its git, both nil without one.
func forgeClient(s forgeSettings, log *slog.Logger) (reconciler.Forge, func(context.Context) (secret.Value, error), error) {
	if s.Repository == "" {
		return nil, nil, nil
	}
	owner, repo, _ := strings.Cut(s.Repository, "/")
	c := github.Config{APIURL: s.API, Owner: owner, Repo: repo, Token: s.Token, Login: s.Login, Log: log}
	if s.AppID != 0 {
		key, err := os.ReadFile(s.AppKeyFile)
		if err != nil {
			return nil, nil, fmt.Errorf("read the GitHub App's key: %w", err)
		}
		c.App = github.App{ID: s.AppID, Installation: s.InstallationID, Key: secret.New(string(key))}
	}
	client, err := github.New(c)
	if err != nil {
		return nil, nil, err
	}
	return client, client.Token, nil
}

// hint passes on what a webhook tells: a comment moves no ref, and must not keep a fetch waiting that a push asks for.
func (d *daemon) hint(h github.Hint) {
	switch {
	case h.Event == "issue_comment":
		d.reconciler.HintPulls()
	case h.Ref == "refs/heads/"+d.settings.Branch:
		d.reconciler.Hint(h.SHA)
	default:
		d.reconciler.Hint("")
	}
}

// run shows the pages, and leads when it is this process's turn, until the context ends; then it lets calls that are under way finish.
func (d *daemon) run(ctx context.Context) error {
	defer d.close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := d.web.Serve(d.webListener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error { return d.lead(ctx) })
	group.Go(func() error { return d.certificates.Run(ctx) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case h := <-d.hints:
				d.hint(h)
			}
		}
	})
	group.Go(func() error {
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := d.web.Shutdown(stop); err != nil {
			return d.web.Close()
		}
		return nil
	})
	d.log.Info("serving", "web", "http://"+d.webListener.Addr().String(), "repository", d.settings.Repository)
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// close ends what was opened, the last first. It may be called on a daemon that is half wired.
func (d *daemon) close() {
	var errs []error
	for _, l := range []net.Listener{d.webListener, d.xdsListener} {
		if l != nil {
			_ = l.Close() // its server closed it already
		}
	}
	if d.mirror != nil {
		errs = append(errs, d.mirror.Close())
	}
	if d.evaluator != nil {
		d.evaluator.Close()
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.process != nil {
		errs = append(errs, processesOf(d.settings).leave(d.process))
	}
	if err := errors.Join(errs...); err != nil {
		d.log.Error("close", "error", err)
	}
}

// token is what the command line shows to be who owns the state folder. It is made once.
func (d *daemon) token() (secret.Value, error) {
	file := filepath.Join(d.settings.State, tokenFile)
	data, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		var random [32]byte
		_, _ = rand.Read(random[:]) // never fails
		data = []byte(hex.EncodeToString(random[:]))
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		return secret.Value{}, fmt.Errorf("read the token of the state folder: %w", err)
	}
	return secret.New(strings.TrimSpace(string(data))), nil
}
