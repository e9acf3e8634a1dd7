package route53

import (
	"context"
	"maps"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/smithy-go/middleware"
)

// api is every call that is made.
type api interface {
	ListHostedZonesByName(context.Context, *sdk.ListHostedZonesByNameInput, ...func(*sdk.Options)) (*sdk.ListHostedZonesByNameOutput, error)
	GetHostedZone(context.Context, *sdk.GetHostedZoneInput, ...func(*sdk.Options)) (*sdk.GetHostedZoneOutput, error)
	ListResourceRecordSets(context.Context, *sdk.ListResourceRecordSetsInput, ...func(*sdk.Options)) (*sdk.ListResourceRecordSetsOutput, error)
	ChangeResourceRecordSets(context.Context, *sdk.ChangeResourceRecordSetsInput, ...func(*sdk.Options)) (*sdk.ChangeResourceRecordSetsOutput, error)
	ListHealthChecks(context.Context, *sdk.ListHealthChecksInput, ...func(*sdk.Options)) (*sdk.ListHealthChecksOutput, error)
	CreateHealthCheck(context.Context, *sdk.CreateHealthCheckInput, ...func(*sdk.Options)) (*sdk.CreateHealthCheckOutput, error)
	UpdateHealthCheck(context.Context, *sdk.UpdateHealthCheckInput, ...func(*sdk.Options)) (*sdk.UpdateHealthCheckOutput, error)
	DeleteHealthCheck(context.Context, *sdk.DeleteHealthCheckInput, ...func(*sdk.Options)) (*sdk.DeleteHealthCheckOutput, error)
	GetChange(context.Context, *sdk.GetChangeInput, ...func(*sdk.Options)) (*sdk.GetChangeOutput, error)
}

// once turns the SDK's own retries off: whether a write was taken is for the caller's journal to find out, not for the SDK to guess.
func once(o *sdk.Options) { o.Retryer = aws.NopRetryer{} }

// calls counts requests by operation, every attempt of them.
type calls struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *calls) install(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("CountCalls", c.count), middleware.Before)
}

func (c *calls) count(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	c.mu.Lock()
	c.n[awsmiddleware.GetOperationName(ctx)]++
	c.mu.Unlock()
	return next.HandleDeserialize(ctx, in)
}

func (c *calls) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}
