package route53

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
)

// signer signs a call that was begun at a known time with that time, and not with that of its sending. AWS takes no request whose signature
// is more than 15 minutes old: so none is taken later than that after its intent was journalled, however long the process stood still in
// between.
type signer struct{ sdk.HTTPSignerV4 }

type begunKey struct{}

// begun notes in the context of a call when it was begun; zero: it is signed as it is sent.
func begun(ctx context.Context, at time.Time) context.Context {
	if at.IsZero() {
		return ctx
	}
	return context.WithValue(ctx, begunKey{}, at)
}

// SignHTTP implements sdk.HTTPSignerV4. The SDK's time differs from the clock of this machine where AWS has told that the clock is wrong.
func (s signer) SignHTTP(ctx context.Context, who aws.Credentials, r *http.Request, payload, service, region string, now time.Time, more ...func(*v4.SignerOptions)) error {
	if at, is := ctx.Value(begunKey{}).(time.Time); is {
		wrong := time.Until(now)
		if wrong.Abs() < time.Minute {
			wrong = 0
		}
		now = at.Add(wrong)
	}
	return s.HTTPSignerV4.SignHTTP(ctx, who, r, payload, service, region, now, more...)
}
