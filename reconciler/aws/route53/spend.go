package route53

import (
	"context"
	"errors"
	"strings"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/edgewright/edgewright/reconciler/aws/budget"
	"github.com/edgewright/edgewright/render/resource"
)

// Limits are what AWS allows an account to ask of Route53, unless it was raised ("Quotas", since 30 July 2026). AWS counts record
// changes too but does not say how many it takes: a full call a second is a guess, which refusals correct.
func Limits() budget.Limits {
	each := budget.Limit{Rate: 10, Burst: 50}
	return budget.Limits{Account: each, Action: each, Actions: map[string]budget.Limit{"CreateHealthCheck": {Rate: 0.5, Burst: 50}}, Changes: budget.Limit{Rate: maxElements, Burst: maxElements}}
}

const (
	readTimeout  = 10 * time.Second // of one attempt
	writeTimeout = 30 * time.Second
)

type jobKey struct{}

// listing is the work of observing a scope: people wait for what has never been listed.
func (p *Provider) listing(ctx context.Context, scope resource.Scope) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	job := budget.Job{Class: budget.People, Begun: p.now()}
	if _, is := p.listed[scope]; is {
		job.Class = budget.Background
	}
	return context.WithValue(ctx, jobKey{}, job)
}

func (p *Provider) noteListed(scope resource.Scope, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listed[scope] = n
}

// spending makes every attempt of a call wait for the budget, before it is signed. What it waits does not count as time of the call.
func (p *Provider) spending(stack *middleware.Stack, number string) error {
	changes := 0
	if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("CountChanges",
		func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			if write, is := in.Parameters.(*sdk.ChangeResourceRecordSetsInput); is {
				changes = len(write.ChangeBatch.Changes)
			}
			return next.HandleInitialize(ctx, in)
		}), middleware.After); err != nil {
		return err
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("Spend",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			return p.spend(ctx, in, next, p.Budgets.Of(number), changes)
		}), "Retry", middleware.After)
}

func (p *Provider) spend(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler, own *budget.Budget, changes int) (middleware.FinalizeOutput, middleware.Metadata, error) {
	call := budget.Call{Action: awsmiddleware.GetOperationName(ctx), Changes: changes}
	if own != nil {
		job, told := ctx.Value(jobKey{}).(budget.Job)
		if !told {
			job = budget.Job{Class: budget.People, Begun: p.now()}
		}
		if err := own.Wait(ctx, job, call); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
	}
	most := writeTimeout
	if strings.HasPrefix(call.Action, "List") || strings.HasPrefix(call.Action, "Get") {
		most = readTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	out, metadata, err := next.HandleFinalize(ctx, in)
	if own != nil && limited(err) {
		own.Throttled(call)
	}
	return out, metadata, err
}

// limited tells whether AWS turned the call away for its rate.
func limited(err error) bool {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return false
	}
	_, known := retry.DefaultThrottleErrorCodes[answer.ErrorCode()]
	return known
}
