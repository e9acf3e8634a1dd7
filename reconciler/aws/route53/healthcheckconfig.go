package route53

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/dns"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// matching ends the types that look for a string in the answer.
const matching = "_STR_MATCH"

// seenHealthCheck is one as AWS shows it.
func seenHealthCheck(h types.HealthCheck) healthCheck {
	c := h.HealthCheckConfig
	kind := string(c.Type)
	out := dns.HealthCheck{Type: kind, Address: aws.ToString(c.IPAddress), Host: schema.Hostname(aws.ToString(c.FullyQualifiedDomainName)), Port: int(aws.ToInt32(c.Port)),
		Path: aws.ToString(c.ResourcePath), Search: aws.ToString(c.SearchString), Interval: int(aws.ToInt32(c.RequestInterval)), Failures: int(aws.ToInt32(c.FailureThreshold)),
		Inverted: aws.ToBool(c.Inverted), Disabled: aws.ToBool(c.Disabled)}
	if base := strings.ToLower(strings.TrimSuffix(kind, matching)); slices.Contains([]string{"http", "https", "tcp"}, base) {
		out.Type = base
	}
	out.NoSNI = out.Type == "https" && c.EnableSNI != nil && !*c.EnableSNI
	if n := len(c.Regions); n > 0 && n < len(types.HealthCheckRegion("").Values()) { // all of them is what AWS takes where none is said
		for _, r := range c.Regions {
			out.Regions = append(out.Regions, string(r))
		}
		slices.Sort(out.Regions)
	}
	return healthCheck{id: aws.ToString(h.Id), version: aws.ToInt64(h.HealthCheckVersion), spec: resource.ValueOf(out)}
}

func healthCheckOf(v resource.Value) (dns.HealthCheck, error) {
	var c dns.HealthCheck
	if err := json.Unmarshal(v, &c); err != nil {
		return dns.HealthCheck{}, fmt.Errorf("read health check: %w", err)
	}
	return c, nil
}

// kindOf is the type as AWS names it.
func kindOf(c dns.HealthCheck) types.HealthCheckType {
	kind := strings.ToUpper(c.Type)
	if c.Search != "" {
		kind += matching
	}
	return types.HealthCheckType(kind)
}

// configOf is a health check to be made.
func configOf(v resource.Value) (*types.HealthCheckConfig, error) {
	c, err := healthCheckOf(v)
	if err != nil {
		return nil, err
	}
	config := &types.HealthCheckConfig{Type: kindOf(c), IPAddress: optional(c.Address), FullyQualifiedDomainName: optional(string(c.Host)),
		Port: aws.Int32(int32(c.Port)), ResourcePath: optional(c.Path), SearchString: optional(c.Search), RequestInterval: aws.Int32(int32(c.Interval)),
		FailureThreshold: aws.Int32(int32(c.Failures)), Inverted: aws.Bool(c.Inverted)}
	if c.Type == "https" {
		config.EnableSNI = aws.Bool(true)
	}
	return config, nil
}

// updateOf changes one that is as it was last seen, and no other: by its version.
func updateOf(h healthCheck, after resource.Value) (*sdk.UpdateHealthCheckInput, error) {
	was, err := healthCheckOf(h.spec)
	if err != nil {
		return nil, err
	}
	c, err := healthCheckOf(after)
	if err != nil {
		return nil, err
	}
	in := &sdk.UpdateHealthCheckInput{HealthCheckId: aws.String(h.id), HealthCheckVersion: aws.Int64(h.version), IPAddress: optional(c.Address),
		FullyQualifiedDomainName: optional(string(c.Host)), Port: aws.Int32(int32(c.Port)), ResourcePath: optional(c.Path), SearchString: optional(c.Search),
		FailureThreshold: aws.Int32(int32(c.Failures)), Inverted: aws.Bool(c.Inverted), Disabled: aws.Bool(false)}
	if c.Type == "https" {
		in.EnableSNI = aws.Bool(true)
	}
	for name, gone := range map[types.ResettableElementName]bool{
		types.ResettableElementNameFullyQualifiedDomainName: was.Host != "" && c.Host == "",
		types.ResettableElementNameResourcePath:             was.Path != "" && c.Path == "",
		types.ResettableElementNameRegions:                  len(was.Regions) > 0,
	} {
		if gone {
			in.ResetElements = append(in.ResetElements, name)
		}
	}
	slices.Sort(in.ResetElements)
	return in, nil
}

// fixedIn names what a step would change of a health check that AWS does not change ("UpdateHealthCheck" of the API Reference).
func fixedIn(s plan.Step) string {
	was, err := healthCheckOf(s.Before)
	will, err2 := healthCheckOf(s.After)
	switch {
	case err != nil || err2 != nil:
		return ""
	case was.Type != will.Type:
		return "type"
	case was.Interval != will.Interval:
		return "interval"
	case (was.Search == "") != (will.Search == ""):
		return "type: with search it is another"
	case (was.Address == "") != (will.Address == ""):
		return "kind of target: an address, or what a host name resolves to"
	}
	return ""
}

// written is what a call about a health check came to.
func written(verb string, name schema.HealthCheckID, err error) (plan.Outcome, error) {
	if err == nil {
		return plan.Outcome{}, nil
	}
	if why, refused := refusedHealthCheck(err); refused {
		return plan.Outcome{Refused: why}, nil
	}
	err = fmt.Errorf("%s health check %s: %w", verb, name, err)
	if throttled(err) {
		return plan.Outcome{}, &Throttled{err}
	}
	return plan.Outcome{}, err
}

// refusedHealthCheck is what AWS said to a call that it will not take however often it is repeated.
func refusedHealthCheck(err error) (why string, refused bool) {
	var (
		version *types.HealthCheckVersionMismatch
		many    *types.TooManyHealthChecks
		used    *types.HealthCheckInUse
	)
	switch {
	case errors.As(err, &version):
		return "somebody has changed it since it was listed: " + aws.ToString(version.Message), true
	case errors.As(err, &many):
		return aws.ToString(many.Message), true
	case errors.As(err, &used):
		return aws.ToString(used.Message), true
	}
	return refusal(err)
}

func exists(err error) bool {
	var taken *types.HealthCheckAlreadyExists
	return errors.As(err, &taken)
}

func missing(err error) bool {
	var gone *types.NoSuchHealthCheck
	return errors.As(err, &gone)
}
