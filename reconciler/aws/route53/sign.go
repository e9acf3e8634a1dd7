package route53

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
)

// dated signs a call with the time when it was begun, and not with that of its sending. AWS takes no request whose signature is more than
// 15 minutes old: so none is taken later than that after its intent was journalled, however long the process stood still in between.
type dated struct {
	sdk.HTTPSignerV4
	begun time.Time
}

// begunAt is an option of one call.
func begunAt(at time.Time) func(*sdk.Options) {
	return func(o *sdk.Options) {
		if !at.IsZero() {
			o.HTTPSignerV4 = dated{o.HTTPSignerV4, at}
		}
	}
}

// SignHTTP implements sdk.HTTPSignerV4. The SDK's signing time differs from the clock of this machine where AWS has told that the clock is
// wrong.
func (d dated) SignHTTP(ctx context.Context, who aws.Credentials, r *http.Request, payload, service, region string, signing time.Time, more ...func(*v4.SignerOptions)) error {
	wrong := time.Until(signing)
	if wrong.Abs() < time.Minute {
		wrong = 0
	}
	return d.HTTPSignerV4.SignHTTP(ctx, who, r, payload, service, region, d.begun.Add(wrong), more...)
}
