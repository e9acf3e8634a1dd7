// Package route53 is the provider of DNS records: it lists hosted zones, and creates, changes and deletes record sets in them, each
// only if it is still what the plan saw.
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
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Provider makes dns/record resources. It is safe for use by many goroutines.
type Provider struct {
	Upsert bool             // update with UPSERT, without a precondition, where DELETE and CREATE in one batch is not wanted
	Now    func() time.Time // nil: time.Now
	Budget *budget.Budget   // nil: calls wait for nothing

	api   api
	calls *calls

	mu       sync.Mutex
	mark     string
	declared map[schema.Hostname]string // zone name → id
	found    map[schema.Hostname]string
	listed   map[resource.Scope]bool // since the start
}

// New makes a provider for the account and endpoint of a configuration. Declare says which zones and whose mark.
func New(cfg aws.Config) *Provider {
	c := &calls{n: map[string]int{}}
	p := &Provider{calls: c, found: map[schema.Hostname]string{}, listed: map[resource.Scope]bool{}}
	p.api = sdk.NewFromConfig(cfg, func(o *sdk.Options) {
		o.HTTPSignerV4 = signer{v4.NewSigner()}
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error { return c.install(stack) }, p.spending)
	})
	return p
}

// Declare tells what the platform says of zones: the value of our marker as the marker record holds it (a quoted TXT string), and
// the ids of those zones that are not to be found by name. It may be called again whenever the platform changes.
func (p *Provider) Declare(mark string, zones []schema.Zone) {
	p.mu.Lock()
	defer p.mu.Unlock()
	declared := map[schema.Hostname]string{}
	for _, z := range zones {
		if z.ID != "" {
			declared[z.Name] = z.ID
		}
		if declared[z.Name] != p.declared[z.Name] {
			delete(p.found, z.Name)
		}
	}
	p.mark, p.declared = mark, declared
}

// Calls counts the requests made so far by operation, every attempt of them.
func (p *Provider) Calls() map[string]int { return p.calls.counts() }

// Pack divides steps into the fewest calls.
func (p *Provider) Pack(steps []plan.Step) []plan.Batch { return Pack(steps, p.Upsert) }

// Refuse names the steps that AWS would refuse.
func (p *Provider) Refuse(snapshot plan.Snapshot, steps []plan.Step) []plan.Clash {
	return Refuse(snapshot, steps)
}

// zoneName is the zone of a scope.
func zoneName(scope resource.Scope) (schema.Hostname, error) {
	name, ok := strings.CutPrefix(string(scope), "zone/")
	if !ok || name == "" {
		return "", fmt.Errorf("scope %q is not a zone", scope)
	}
	return schema.Hostname(name), nil
}

// zoneID is the id of a hosted zone, asked for once.
func (p *Provider) zoneID(ctx context.Context, zone schema.Hostname) (string, error) {
	p.mu.Lock()
	id, declared := p.found[zone], p.declared[zone]
	p.mu.Unlock()
	if id != "" {
		return id, nil
	}
	id, err := p.askZone(ctx, zone, declared)
	if err != nil {
		return "", err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.declared[zone] == declared {
		p.found[zone] = id
	}
	return id, nil
}

func (p *Provider) askZone(ctx context.Context, zone schema.Hostname, declared string) (string, error) {
	if declared != "" {
		return p.verifyZone(ctx, zone, declared)
	}
	zones, err := p.zonesNamed(ctx, zone)
	if err != nil {
		return "", err
	}
	switch len(zones) {
	case 0:
		return "", fmt.Errorf("hosted zone %s is not in this account: create it, or take it out of the platform's zones", zone)
	case 1:
		return bareID(aws.ToString(zones[0].Id)), nil
	}
	return "", fmt.Errorf("hosted zone %s exists %d times (%s): declare the id of the one that is meant", zone, len(zones), describe(zones))
}

// verifyZone makes sure that a declared id is the zone that it is declared for.
func (p *Provider) verifyZone(ctx context.Context, zone schema.Hostname, id string) (string, error) {
	out, err := p.api.GetHostedZone(ctx, &sdk.GetHostedZoneInput{Id: aws.String(id)})
	var missing *types.NoSuchHostedZone
	if errors.As(err, &missing) {
		return "", fmt.Errorf("hosted zone %s is not in this account: there is none with the declared id %s", zone, id)
	}
	if err != nil {
		return "", fmt.Errorf("get hosted zone %s: %w", id, err)
	}
	if name := decodeName(aws.ToString(out.HostedZone.Name)); name != zone {
		return "", fmt.Errorf("hosted zone %s is %s, but is declared as the id of %s", id, name, zone)
	}
	return bareID(id), nil
}

// zonesNamed lists the zones of exactly that name, public and private. The list starts at the name, so that they come first.
func (p *Provider) zonesNamed(ctx context.Context, zone schema.Hostname) ([]types.HostedZone, error) {
	out, err := p.api.ListHostedZonesByName(ctx, &sdk.ListHostedZonesByNameInput{DNSName: aws.String(string(zone) + ".")})
	if err != nil {
		return nil, fmt.Errorf("find hosted zone %s: %w", zone, err)
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
