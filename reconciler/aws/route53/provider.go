// Package route53 is the provider of DNS records and of the health checks that they name: it lists hosted zones and health checks, and
// creates, changes and deletes what is in them, each only if it is still what the plan saw.
//
// It decides nothing: which steps are made, when and in whose name is the reconciler's business, and so is repeating a call.
package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/reconciler/aws/transport"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Provider makes resources of the kinds dns/record and dns/healthcheck. It is safe for use by many goroutines.
type Provider struct {
	Upsert  bool             // update with UPSERT, without a precondition, where DELETE and CREATE in one batch is not wanted
	Now     func() time.Time // nil: time.Now
	Budgets *budget.Accounts // set before the first call; nil: calls wait for nothing

	cfg   aws.Config
	calls *calls

	mu       sync.Mutex
	mark     string
	declared map[schema.Hostname]schema.Zone
	clients  map[schema.AccountID]client
	found    map[schema.Hostname]hosted
	listed   map[resource.Scope]int // since the start, and how many it held then
	checks   map[schema.AccountID]*healthChecks
	quotas   schema.Quotas
}

// hosted is a hosted zone, and who speaks to its account.
type hosted struct {
	client
	id string
}

// New makes a provider for the account and endpoint of a configuration. Declare says which zones and whose mark.
func New(cfg aws.Config) *Provider {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), transport.KeepAnswer)
	p := &Provider{cfg: cfg, calls: &calls{n: map[string]int{}}, found: map[schema.Hostname]hosted{}, listed: map[resource.Scope]int{},
		checks: map[schema.AccountID]*healthChecks{}}
	p.clients = map[schema.AccountID]client{"": {api: p.connect(cfg, "")}}
	return p
}

// Declare tells what the platform says of zones, accounts and quotas, and the value of our marker as the marker record holds it (a quoted
// TXT string). It may be called again whenever the platform changes.
func (p *Provider) Declare(mark string, platform schema.Platform) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keepClients(platform.Accounts)
	declared := map[schema.Hostname]schema.Zone{}
	for _, z := range platform.Zones {
		declared[z.Name] = z
	}
	for name, h := range p.found {
		if z := declared[name]; z.ID != p.declared[name].ID || z.Account != h.account.ID || p.clients[z.Account].account != h.account {
			delete(p.found, name)
		}
	}
	if p.mark != mark { // then other references are ours
		p.checks = map[schema.AccountID]*healthChecks{}
	}
	p.mark, p.declared, p.quotas = mark, declared, platform.Quotas
}

// Calls counts the requests made so far by operation, every attempt of them.
func (p *Provider) Calls() map[string]int { return p.calls.counts() }

// Pack divides steps into the fewest calls.
func (p *Provider) Pack(steps []plan.Step) []plan.Batch { return Pack(steps, p.Upsert) }

// Refuse names the steps that AWS would refuse.
func (p *Provider) Refuse(snapshot plan.Snapshot, steps []plan.Step) []plan.Clash {
	name, zone := snapshot.Scope.Zone()
	p.mu.Lock()
	most, mostChecks := p.declared[name].Most(), p.quotas.MostHealthChecks()
	p.mu.Unlock()
	if !zone {
		return refuseHealthChecks(snapshot, steps, mostChecks)
	}
	return Refuse(snapshot, steps, most)
}

// zoneName is the zone of a scope.
func zoneName(scope resource.Scope) (schema.Hostname, error) {
	name, is := scope.Zone()
	if !is {
		return "", fmt.Errorf("scope %q is not a zone", scope)
	}
	return name, nil
}

// zone is a hosted zone, looked for once.
func (p *Provider) zone(ctx context.Context, name schema.Hostname) (hosted, error) {
	p.mu.Lock()
	h, known := p.found[name]
	declared := p.declared[name]
	c, err := p.clientFor(name)
	p.mu.Unlock()
	if known || err != nil {
		return h, err
	}
	h = hosted{client: c}
	if h.id, err = h.find(ctx, name, declared.ID); err != nil {
		return hosted{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.declared[name] == declared && p.clients[declared.Account].account == c.account {
		p.found[name] = h
	}
	return h, nil
}

// find is the id of a zone.
func (c client) find(ctx context.Context, zone schema.Hostname, declared string) (string, error) {
	if declared != "" {
		return c.verifyZone(ctx, zone, declared)
	}
	zones, err := c.zonesNamed(ctx, zone)
	if err != nil {
		return "", err
	}
	switch len(zones) {
	case 0:
		return "", fmt.Errorf("hosted zone %s is not in this account%s: create it, or take it out of the platform's zones", zone, c)
	case 1:
		return bareID(aws.ToString(zones[0].Id)), nil
	}
	return "", fmt.Errorf("hosted zone %s exists %d times%s (%s): declare the id of the one that is meant", zone, len(zones), c, describe(zones))
}

// String is the account, to be put behind a word; empty: the daemon's own.
func (c client) String() string {
	if c.account.ID == "" {
		return ""
	}
	return fmt.Sprintf(" (%s, %s)", c.account.ID, c.account.Role)
}

// verifyZone makes sure that a declared id is the zone that it is declared for.
func (c client) verifyZone(ctx context.Context, zone schema.Hostname, id string) (string, error) {
	out, err := c.api.GetHostedZone(ctx, &sdk.GetHostedZoneInput{Id: aws.String(id)})
	var missing *types.NoSuchHostedZone
	if errors.As(err, &missing) {
		return "", fmt.Errorf("hosted zone %s is not in this account%s: there is none with the declared id %s", zone, c, id)
	}
	if err != nil {
		return "", fmt.Errorf("get hosted zone %s%s: %w", id, c, err)
	}
	if name := decodeName(aws.ToString(out.HostedZone.Name)); name != zone {
		return "", fmt.Errorf("hosted zone %s is %s, but is declared as the id of %s", id, name, zone)
	}
	return bareID(id), nil
}

// zonesNamed lists the zones of exactly that name, public and private. The list starts at the name, so that they come first.
func (c client) zonesNamed(ctx context.Context, zone schema.Hostname) ([]types.HostedZone, error) {
	out, err := c.api.ListHostedZonesByName(ctx, &sdk.ListHostedZonesByNameInput{DNSName: aws.String(string(zone) + ".")})
	if err != nil {
		return nil, fmt.Errorf("find hosted zone %s%s: %w", zone, c, err)
	}
	return slices.DeleteFunc(out.HostedZones, func(z types.HostedZone) bool { return decodeName(aws.ToString(z.Name)) != zone }), nil
}

func describe(zones []types.HostedZone) string {
	var all []string
	for _, z := range zones {
		kind := "public"
		if z.Config != nil && z.Config.PrivateZone {
			kind = "private"
		}
		all = append(all, bareID(aws.ToString(z.Id))+" "+kind)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// forget makes the zone be asked for again, because the id that we had is gone.
func (p *Provider) forget(zone schema.Hostname) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.found, zone)
}

func bareID(id string) string { return id[strings.LastIndex(id, "/")+1:] }
