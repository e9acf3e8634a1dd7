package route53

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

func TestDecodeName(t *testing.T) {
	for sent, want := range map[string]schema.Hostname{
		"Jira.Acme.Example.":           "jira.acme.example",
		`\052.acme.example.`:           "*.acme.example",
		`a\052.acme.example.`:          `a\052.acme.example`,
		`\137dmarc.acme.example.`:      "_dmarc.acme.example",
		`\101\055b.acme.example.`:      "a-b.acme.example",
		`a\040b.acme.example.`:         `a\040b.acme.example`,
		`a\056b.acme.example.`:         `a\056b.acme.example`,
		`a\1`:                          `a\1`,
		`\052.\137x.\052.acme.example`: `*._x.\052.acme.example`,
	} {
		if got := decodeName(sent); got != want {
			t.Errorf("%s is %s, want %s", sent, got, want)
		}
	}
}

// What nobody but AWS makes is seen, told apart by its set, and neither changed nor deleted.
func TestKindsThatAreNotMade(t *testing.T) {
	for want, r := range map[string]types.ResourceRecordSet{
		"geoproximity":   {GeoProximityLocation: &types.GeoProximityLocation{AWSRegion: aws.String("eu-west-1")}, SetIdentifier: aws.String("a b")},
		"cidr":           {CidrRoutingConfig: &types.CidrRoutingConfig{CollectionId: aws.String("c"), LocationName: aws.String("*")}, SetIdentifier: aws.String("a b")},
		"traffic-policy": {TrafficPolicyInstanceId: aws.String("t"), SetIdentifier: aws.String("a b")},
	} {
		r.Name, r.Type = aws.String("www.acme.example."), types.RRTypeA
		name, v := valueOf("Z1", nil, r)
		key := resource.Key{Kind: resource.DNSRecord, Scope: "zone/acme.example", Name: name}
		if kind, host, set := splitKey(key); kind != "A" || host != "www.acme.example" || set != "a b" {
			t.Errorf("%s has the key %s", want, name)
		}
		if _, err := recordOf(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is read as a record: %v", want, err)
		}
	}
}
