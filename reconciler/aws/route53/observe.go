package route53

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// pageSize is the most that AWS puts on a page.
const pageSize = 300

// Observe lists a scope completely, or fails. The snapshot is as old as its first page.
func (p *Provider) Observe(ctx context.Context, scope resource.Scope) (plan.Snapshot, error) {
	if account, is := scope.HealthChecks(); is {
		return p.observeHealthChecks(p.listing(ctx, scope), scope, account)
	}
	zone, err := zoneName(scope)
	if err != nil {
		return plan.Snapshot{}, err
	}
	ctx = p.listing(ctx, scope)
	h, err := p.zone(ctx, zone)
	if err != nil {
		return plan.Snapshot{}, err
	}
	taken := p.now()
	p.mu.Lock()
	expected := p.listed[scope]
	p.mu.Unlock()
	sets, err := h.list(ctx, expected)
	if err != nil {
		if gone(err) {
			p.forget(zone)
		}
		return plan.Snapshot{}, fmt.Errorf("list records of %s: %w", zone, err)
	}
	check, err := p.nameHealthChecks(ctx, h.account.ID, sets)
	if err != nil {
		return plan.Snapshot{}, err
	}
	p.noteListed(scope, len(sets))
	s := plan.Snapshot{Scope: scope, Taken: taken, Resources: resources(scope, h.id, check, sets)}
	p.mu.Lock()
	mark := p.mark
	p.mu.Unlock()
	s.Marked, s.Foreign = marked(s, zone, mark)
	return s, nil
}

func (p *Provider) now() time.Time {
	if p.Now != nil {
		return p.Now()
	}
	return time.Now()
}

// list follows the pages to the end. A list that does not move on is an error: what is missing would look deleted. How many records are
// expected saves making room again and again.
func (h hosted) list(ctx context.Context, expected int) ([]types.ResourceRecordSet, error) {
	in := &sdk.ListResourceRecordSetsInput{HostedZoneId: aws.String(h.id), MaxItems: aws.Int32(pageSize)}
	all := make([]types.ResourceRecordSet, 0, expected+pageSize)
	visited := map[string]bool{}
	for {
		out, err := h.page(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.ResourceRecordSets...)
		if !out.IsTruncated {
			return all, nil
		}
		in.StartRecordName, in.StartRecordType, in.StartRecordIdentifier = out.NextRecordName, out.NextRecordType, out.NextRecordIdentifier
		next := fmt.Sprintf("%s %s %s", aws.ToString(out.NextRecordName), out.NextRecordType, aws.ToString(out.NextRecordIdentifier))
		if out.NextRecordName == nil || visited[next] {
			return nil, fmt.Errorf("the page after %d records does not move on", len(all))
		}
		visited[next] = true
	}
}

func (c client) page(ctx context.Context, in *sdk.ListResourceRecordSetsInput) (*sdk.ListResourceRecordSetsOutput, error) {
	return c.api.ListResourceRecordSets(ctx, in)
}

// resources are the records by key.
func resources(scope resource.Scope, zoneID string, check func(id string) schema.HealthCheckID, sets []types.ResourceRecordSet) map[resource.Key]resource.Value {
	all := make(map[resource.Key]resource.Value, len(sets))
	for _, r := range sets {
		name, value := valueOf(zoneID, check, r)
		all[resource.Key{Kind: resource.DNSRecord, Scope: scope, Name: name}] = value
	}
	return all
}

// marked reads the zone's marker: whether it is ours, or else what it says.
func marked(s plan.Snapshot, zone schema.Hostname, mark string) (ours bool, foreign string) {
	v, there := s.Resources[resource.Key{Kind: resource.DNSRecord, Scope: s.Scope, Name: markerName(zone)}]
	if !there {
		return false, ""
	}
	r, err := recordOf(v)
	if err != nil {
		return false, err.Error()
	}
	if slices.Equal(r.Values, []string{mark}) {
		return true, ""
	}
	return false, strings.Join(r.Values, " ")
}

// gone tells whether the zone that a call named does not exist.
func gone(err error) bool {
	var missing *types.NoSuchHostedZone
	return errors.As(err, &missing)
}
