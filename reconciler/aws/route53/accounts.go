package route53

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"github.com/edgewright/edgewright/schema"
)

// session is how our calls are called in the audit of an account whose role we take on.
const session = "edgewright"

// client speaks to one account.
type client struct {
	api     api
	account schema.Account // zero: that of the configuration
}

func (p *Provider) connect(cfg aws.Config, number string) api {
	return sdk.NewFromConfig(cfg, func(o *sdk.Options) {
		o.HTTPSignerV4 = signer{v4.NewSigner()}
		o.APIOptions = append(o.APIOptions, readPages, func(stack *middleware.Stack) error { return p.calls.install(stack) },
			func(stack *middleware.Stack) error { return p.spending(stack, number) })
	})
}

// assume makes a client that takes on an account's role when it is first needed, and again before that ends.
func (p *Provider) assume(a schema.Account) client {
	cfg := p.cfg.Copy()
	cfg.Credentials = aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(sts.NewFromConfig(p.cfg), a.Role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = session
		if a.ExternalID != "" {
			o.ExternalID = aws.String(a.ExternalID)
		}
	}))
	return client{api: p.connect(cfg, numberOf(a.Role)), account: a}
}

// numberOf is the number of the account that a role is in.
func numberOf(role string) string {
	parsed, err := arn.Parse(role)
	if err != nil {
		return role
	}
	return parsed.AccountID
}

// accountClient is the client of an account, and our mark.
func (p *Provider) accountClient(account schema.AccountID) (client, string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, known := p.clients[account]
	if !known {
		return client{}, "", fmt.Errorf("the account %s is not declared", account)
	}
	return c, p.mark, nil
}

// clientFor is the client of a declared zone's account. It is held with p.mu.
func (p *Provider) clientFor(zone schema.Hostname) (client, error) {
	id := p.declared[zone].Account
	c, known := p.clients[id]
	if !known {
		return client{}, fmt.Errorf("hosted zone %s is in the account %s, which is not declared", zone, id)
	}
	return c, nil
}

// keepClients makes clients for new accounts and drops those of accounts that are gone or have another role. It is held with p.mu.
func (p *Provider) keepClients(accounts []schema.Account) {
	own := p.clients[""]
	kept := map[schema.AccountID]client{"": own}
	for _, a := range accounts {
		if c, known := p.clients[a.ID]; known && c.account == a {
			kept[a.ID] = c
			continue
		}
		kept[a.ID] = p.assume(a)
	}
	p.clients = kept
}
