package route53

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Throttled is an error of a call that AWS did not take because there were too many. Nothing was changed; repeat it later.
type Throttled struct{ Err error }

func (t *Throttled) Error() string { return "throttled: " + t.Err.Error() }

// Unwrap is what AWS said.
func (t *Throttled) Unwrap() error { return t.Err }

// Apply makes exactly one writing call: AWS takes all of the batch or none of it. Unless it is *Throttled, an error says nothing about
// whether the batch was taken.
func (p *Provider) Apply(ctx context.Context, batch plan.Batch) (plan.Outcome, error) {
	if account, is := batch.Scope.HealthChecks(); is {
		return p.applyHealthCheck(ctx, account, batch)
	}
	zone, err := zoneName(batch.Scope)
	if err != nil {
		return plan.Outcome{}, err
	}
	h, err := p.zone(ctx, zone)
	if err != nil {
		return plan.Outcome{}, err
	}
	t := translator{zone: h.id, check: p.healthCheckIDs(h.account.ID)}
	changes, err := t.changes(batch.Steps, p.Upsert)
	if err != nil { // nothing was sent
		return plan.Outcome{Refused: err.Error()}, nil
	}
	in := &sdk.ChangeResourceRecordSetsInput{HostedZoneId: aws.String(h.id), ChangeBatch: &types.ChangeBatch{Changes: changes}}
	if batch.Intent != "" {
		in.ChangeBatch.Comment = aws.String(batch.Intent)
	}
	out, err := h.api.ChangeResourceRecordSets(begun(ctx, batch.At), in, once)
	if err == nil {
		return plan.Outcome{Token: h.token(bareID(aws.ToString(out.ChangeInfo.Id)))}, nil
	}
	if why, refused := refusal(err); refused {
		return plan.Outcome{Refused: why}, nil
	}
	if gone(err) {
		p.forget(zone)
	}
	err = fmt.Errorf("change records of %s: %w", zone, err)
	if throttled(err) {
		return plan.Outcome{}, &Throttled{err}
	}
	return plan.Outcome{}, err
}

// tokenOf divides the account from the change in a token.
const tokenOf = "/"

// token is a change with its account.
func (c client) token(change string) string {
	if c.account.ID == "" {
		return change
	}
	return string(c.account.ID) + tokenOf + change
}

// Settled tells whether every name server of AWS answers with the change.
func (p *Provider) Settled(ctx context.Context, token string) (bool, error) {
	account, change, there := strings.Cut(token, tokenOf)
	if !there {
		account, change = "", token
	}
	p.mu.Lock()
	c, known := p.clients[schema.AccountID(account)]
	p.mu.Unlock()
	if !known {
		return false, fmt.Errorf("get change %s of an account that is not declared any more: %w", token, plan.ErrForgotten)
	}
	out, err := c.api.GetChange(ctx, &sdk.GetChangeInput{Id: aws.String(change)})
	var unknown *types.NoSuchChange
	if errors.As(err, &unknown) {
		return false, fmt.Errorf("get change %s: %w", token, plan.ErrForgotten)
	}
	if err != nil {
		return false, fmt.Errorf("get change %s: %w", token, err)
	}
	return out.ChangeInfo.Status == types.ChangeStatusInsync, nil
}

// changes are the elements of a batch, deletions first. With an update as DELETE of the exact old and CREATE of the new, AWS
// itself refuses the batch if anybody changed the record since it was observed.
func (t translator) changes(steps []plan.Step, upsert bool) ([]types.Change, error) {
	var deletions, additions []types.Change
	for _, s := range steps {
		if s.Key.Kind != resource.DNSRecord {
			return nil, fmt.Errorf("%s is not a record", s.Key)
		}
		swap := s.Verb == plan.Update && !upsert
		if s.Verb == plan.Delete || swap {
			c, err := t.change(types.ChangeActionDelete, s.Before)
			if err != nil {
				return nil, err
			}
			deletions = append(deletions, c)
		}
		if s.Verb == plan.Delete {
			continue
		}
		action := types.ChangeActionCreate
		if s.Verb == plan.Update && upsert {
			action = types.ChangeActionUpsert
		}
		c, err := t.change(action, s.After)
		if err != nil {
			return nil, err
		}
		additions = append(additions, c)
	}
	return append(deletions, additions...), nil
}

func (t translator) change(action types.ChangeAction, v resource.Value) (types.Change, error) {
	r, err := recordOf(v)
	if err != nil {
		return types.Change{}, err
	}
	set, err := t.recordSet(r)
	return types.Change{Action: action, ResourceRecordSet: set}, err
}

// refusal is what AWS said about a batch that it will not take however often it is repeated.
func refusal(err error) (why string, refused bool) {
	var batch *types.InvalidChangeBatch
	if errors.As(err, &batch) {
		if len(batch.Messages) > 0 {
			return strings.Join(batch.Messages, "; "), true
		}
		return strings.Trim(aws.ToString(batch.Message), "[]"), true
	}
	var check *types.NoSuchHealthCheck
	if errors.As(err, &check) {
		return aws.ToString(check.Message), true
	}
	var input *types.InvalidInput
	if errors.As(err, &input) {
		return aws.ToString(input.Message), true
	}
	return "", false
}

// throttled tells whether AWS turned the call away for its rate, or for another change to the zone that is not done.
func throttled(err error) bool {
	var prior *types.PriorRequestNotComplete
	return errors.As(err, &prior) || limited(err)
}
