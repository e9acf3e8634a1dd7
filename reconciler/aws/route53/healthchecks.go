package route53

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// healthChecks is what is known of those of an account. A health check has no name in AWS. Which one of ours it is says the caller
// reference that it was made with, which AWS never takes twice: not even once the health check was deleted.
type healthChecks struct {
	ours   map[schema.HealthCheckID]healthCheck
	names  map[string]schema.HealthCheckID // of ours that exist, by Route53's id
	others map[string]bool                 // ids that were asked for, and are of others or of nobody any more
	used   map[schema.HealthCheckID]used   // references that are taken by a health check that is not listed
}

// healthCheck is one of ours as it was last seen, or made.
type healthCheck struct {
	id         string
	version    int64 // AWS's, counted up by every change
	generation int
	spec       resource.Value
}

// used is a reference that AWS will not take.
type used struct {
	generation int
	since      time.Time // when that was first noticed; zero: generation is free
}

// unlisted is how long a health check whose reference is taken may be missing from lists before it counts as deleted.
const unlisted = 30 * time.Second

// healthCheckPage is the most that AWS puts on a page.
const healthCheckPage = 100

// referencePrefix begins the caller references of one edge.
func referencePrefix(mark string) string {
	sum := sha256.Sum256([]byte(mark))
	return "edgewright/" + hex.EncodeToString(sum[:4]) + "/"
}

// reference is the caller reference of a name: the same at each try, so that a health check is made once. generation counts those of the
// name that were deleted.
func reference(mark string, name schema.HealthCheckID, generation int) string {
	return fmt.Sprintf("%s%s/%d", referencePrefix(mark), name, generation)
}

// nameOf is what a caller reference of this edge says.
func nameOf(mark, reference string) (name schema.HealthCheckID, generation int, ours bool) {
	rest, ours := strings.CutPrefix(reference, referencePrefix(mark))
	text, count, _ := strings.Cut(rest, "/")
	generation, err := strconv.Atoi(count)
	return schema.HealthCheckID(text), generation, ours && err == nil
}

// observeHealthChecks lists an account's health checks, or fails. Ours go by their name, others by their id.
func (p *Provider) observeHealthChecks(ctx context.Context, scope resource.Scope, account schema.AccountID) (plan.Snapshot, error) {
	c, mark, err := p.accountClient(account)
	if err != nil {
		return plan.Snapshot{}, err
	}
	s := plan.Snapshot{Scope: scope, Taken: p.now(), Resources: map[resource.Key]resource.Value{}, Marked: true}
	all, err := c.healthChecks(ctx)
	if err != nil {
		return plan.Snapshot{}, fmt.Errorf("list health checks%s: %w", c, err)
	}
	p.noteListed(scope, len(all))
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.healthChecksOf(account)
	known.ours, known.names = map[schema.HealthCheckID]healthCheck{}, map[string]schema.HealthCheckID{}
	for _, h := range all {
		seen := seenHealthCheck(h)
		name, generation, ours := nameOf(mark, aws.ToString(h.CallerReference))
		if other, twice := known.ours[name]; ours && (!twice || other.generation < generation) {
			seen.generation = generation
			known.ours[name] = seen
		}
	}
	for name, h := range known.ours {
		known.names[h.id] = name
		if u := known.used[name]; u.generation <= h.generation {
			known.used[name] = used{generation: h.generation}
		}
	}
	for _, h := range all {
		key := resource.Key{Kind: resource.DNSHealthCheck, Scope: scope, Name: aws.ToString(h.Id)}
		if name, ours := known.names[key.Name]; ours {
			key.Name = string(name)
		}
		s.Resources[key] = seenHealthCheck(h).spec
	}
	return s, nil
}

func (c client) healthChecks(ctx context.Context) ([]types.HealthCheck, error) {
	in := &sdk.ListHealthChecksInput{MaxItems: aws.Int32(healthCheckPage)}
	var all []types.HealthCheck
	visited := map[string]bool{}
	for {
		out, err := c.api.ListHealthChecks(ctx, in)
		if err != nil {
			return nil, err
		}
		all = append(all, out.HealthChecks...)
		if !out.IsTruncated {
			return all, nil
		}
		if in.Marker = out.NextMarker; in.Marker == nil || visited[*in.Marker] {
			return nil, fmt.Errorf("the page after %d health checks does not move on", len(all))
		}
		visited[*in.Marker] = true
	}
}

// nameHealthChecks makes known whose the health checks are that records name, by one list at most.
func (p *Provider) nameHealthChecks(ctx context.Context, account schema.AccountID, sets []types.ResourceRecordSet) (func(id string) schema.HealthCheckID, error) {
	unknown := func() []string {
		p.mu.Lock()
		defer p.mu.Unlock()
		known := p.healthChecksOf(account)
		var ids []string
		for _, r := range sets {
			if id := aws.ToString(r.HealthCheckId); id != "" && known.names[id] == "" && !known.others[id] {
				ids = append(ids, id)
			}
		}
		return ids
	}
	if len(unknown()) > 0 {
		if _, err := p.observeHealthChecks(ctx, resource.HealthChecksScope(account), account); err != nil {
			return nil, err
		}
	}
	others := unknown()
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.healthChecksOf(account)
	for _, id := range others {
		known.others[id] = true
	}
	names := known.names // replaced by the next list, never changed
	return func(id string) schema.HealthCheckID {
		if name, ours := names[id]; ours {
			return name
		}
		return schema.HealthCheckID(id)
	}, nil
}

// healthCheckIDs finds the ids of health checks by what records call them. It is asked with p.mu free.
func (p *Provider) healthCheckIDs(account schema.AccountID) func(schema.HealthCheckID) (string, error) {
	return func(name schema.HealthCheckID) (string, error) {
		if !name.Ours() {
			return string(name), nil
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		h, is := p.healthChecksOf(account).ours[name]
		if !is {
			return "", fmt.Errorf("the health check %s is not there", name)
		}
		return h.id, nil
	}
}

// healthChecksOf is held with p.mu.
func (p *Provider) healthChecksOf(account schema.AccountID) *healthChecks {
	known := p.checks[account]
	if known == nil {
		known = &healthChecks{others: map[string]bool{}, used: map[schema.HealthCheckID]used{}}
		p.checks[account] = known
	}
	return known
}

// applyHealthCheck makes one call for one step. A health check is changed only if it is as planned, by its version. To delete, AWS takes no
// such condition: what somebody changed of ours since it was listed goes with it. An id is never given twice, so that nothing else can.
func (p *Provider) applyHealthCheck(ctx context.Context, account schema.AccountID, batch plan.Batch) (plan.Outcome, error) {
	if len(batch.Steps) != 1 {
		return plan.Outcome{}, fmt.Errorf("%d steps for one call about a health check", len(batch.Steps))
	}
	s := batch.Steps[0]
	c, mark, err := p.accountClient(account)
	if err != nil {
		return plan.Outcome{}, err
	}
	ctx = begun(ctx, batch.At)
	name := schema.HealthCheckID(s.Key.Name)
	p.mu.Lock()
	h, there := p.healthChecksOf(account).ours[name]
	p.mu.Unlock()
	switch {
	case s.Verb == plan.Create && !there:
		return p.createHealthCheck(ctx, c, account, mark, name, s.After)
	case !there || !bytes.Equal(h.spec, s.Before):
		return plan.Outcome{Refused: fmt.Sprintf("the health check %s is not as it was planned for any more", name)}, nil
	case s.Verb == plan.Delete:
		_, err = c.api.DeleteHealthCheck(ctx, &sdk.DeleteHealthCheckInput{HealthCheckId: aws.String(h.id)}, once)
		if missing(err) {
			err = nil
		}
		if err == nil {
			p.noteHealthCheck(account, name, nil)
		}
		return written("delete", name, err)
	}
	in, err := updateOf(h, s.After)
	if err != nil {
		return plan.Outcome{}, err
	}
	out, err := c.api.UpdateHealthCheck(ctx, in, once)
	if err == nil {
		seen := seenHealthCheck(*out.HealthCheck)
		seen.generation = h.generation
		p.noteHealthCheck(account, name, &seen)
	}
	return written("update", name, err)
}

// createHealthCheck makes it under the first reference that may be free. What is taken and not listed may only not be listed yet: so it is
// waited for, before the next one is tried.
func (p *Provider) createHealthCheck(ctx context.Context, c client, account schema.AccountID, mark string, name schema.HealthCheckID, spec resource.Value) (plan.Outcome, error) {
	config, err := configOf(spec)
	if err != nil {
		return plan.Outcome{}, err
	}
	p.mu.Lock()
	known := p.healthChecksOf(account)
	u := known.used[name]
	if !u.since.IsZero() && p.now().Sub(u.since) >= unlisted {
		u = used{generation: u.generation + 1}
	}
	known.used[name] = u
	p.mu.Unlock()
	out, err := c.api.CreateHealthCheck(ctx, &sdk.CreateHealthCheckInput{CallerReference: aws.String(reference(mark, name, u.generation)), HealthCheckConfig: config}, once)
	if err == nil {
		seen := seenHealthCheck(*out.HealthCheck)
		seen.generation = u.generation
		p.noteHealthCheck(account, name, &seen)
		return plan.Outcome{}, nil
	}
	if exists(err) {
		p.mu.Lock()
		if u.since.IsZero() {
			u.since = p.now()
			known.used[name] = u
		}
		p.mu.Unlock()
		return plan.Outcome{Refused: fmt.Sprintf("a health check %s was made before, and is not listed: it may have been deleted, which is certain after %s", name, unlisted)}, nil
	}
	return written("create", name, err)
}

// noteHealthCheck remembers what became of one; nil: it is gone.
func (p *Provider) noteHealthCheck(account schema.AccountID, name schema.HealthCheckID, h *healthCheck) {
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.healthChecksOf(account)
	names := map[string]schema.HealthCheckID{}
	for id, n := range known.names {
		if n != name {
			names[id] = n
		}
	}
	if known.ours == nil {
		known.ours = map[schema.HealthCheckID]healthCheck{}
	}
	delete(known.ours, name)
	if h != nil {
		known.ours[name], names[h.id] = *h, name
	}
	known.names = names
}

// refuseHealthChecks names the steps that AWS would refuse.
func refuseHealthChecks(snapshot plan.Snapshot, steps []plan.Step, most int) []plan.Clash {
	room := most - len(snapshot.Resources)
	for _, s := range steps {
		if s.Verb == plan.Delete {
			room++
		}
	}
	var refused []plan.Clash
	for _, s := range steps {
		why, unblock := "", ""
		switch s.Verb {
		case plan.Create:
			if room--; room < 0 {
				why = fmt.Sprintf("there are %d health checks of at most %d, and there is no room for this one", len(snapshot.Resources), most)
				unblock = "remove some; or ask AWS for more, and then write it as quotas.healthChecks in platform/"
			}
		case plan.Update, plan.Adopt:
			if fixed := fixedIn(s); fixed != "" {
				why, unblock = fmt.Sprintf("AWS does not change the %s of a health check", fixed), "declare one by another name, and let the records name that"
			}
		}
		if why != "" {
			refused = append(refused, plan.Clash{Key: s.Key, Service: s.Service, Origin: s.Origin, Message: why, Unblock: unblock})
		}
	}
	return refused
}
