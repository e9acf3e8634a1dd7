package route53

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgewright/edgewright/fixtures/world"
)

// answering answers each request with one body.
type answering struct {
	code int
	body []byte
	fail error
}

func (a answering) Do(*http.Request) (*http.Response, error) {
	var body io.Reader = bytes.NewReader(a.body)
	if a.fail != nil {
		body = io.MultiReader(body, failing{a.fail})
	}
	return &http.Response{StatusCode: a.code, Header: http.Header{}, Body: io.NopCloser(body)}, nil
}

// listed is what a client makes of an answer.
func listed(a answering, options ...func(*middleware.Stack) error) (*sdk.ListResourceRecordSetsOutput, error) {
	c := sdk.New(sdk.Options{Region: "us-east-1", HTTPClient: a, Retryer: aws.NopRetryer{}, APIOptions: options,
		Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")})
	return c.ListResourceRecordSets(context.Background(), &sdk.ListResourceRecordSetsInput{HostedZoneId: aws.String("Z1")})
}

const aPage = `<?xml version="1.0"?>
<ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets>
<ResourceRecordSet><Name>a.x.test.</Name><Type>TXT</Type><TTL>5</TTL><ResourceRecords><ResourceRecord><Value>&quot;a&amp;b&lt;c&quot;</Value></ResourceRecord><ResourceRecord><Value>"d"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
<ResourceRecordSet><Name>\052.x.test.</Name><Type>A</Type><SetIdentifier>one</SetIdentifier><Weight>0</Weight><AliasTarget><HostedZoneId>Z2</HostedZoneId><DNSName>b.x.test.</DNSName><EvaluateTargetHealth>true</EvaluateTargetHealth></AliasTarget><HealthCheckId>h</HealthCheckId></ResourceRecordSet>
<ResourceRecordSet><Name>b.x.test.</Name><Type>A</Type><SetIdentifier>de</SetIdentifier><GeoLocation><CountryCode>US</CountryCode><SubdivisionCode>CA</SubdivisionCode></GeoLocation><TTL>5</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
<ResourceRecordSet><Name>c.x.test.</Name><Type>A</Type><SetIdentifier>m</SetIdentifier><MultiValueAnswer>true</MultiValueAnswer><TTL>5</TTL><ResourceRecords><ResourceRecord><Value>192.0.2.1</Value></ResourceRecord></ResourceRecords></ResourceRecordSet>
<ResourceRecordSet><Name>d.x.test.</Name><Type>A</Type><SetIdentifier>f</SetIdentifier><Failover>PRIMARY</Failover><Region>eu-west-1</Region></ResourceRecordSet>
</ResourceRecordSets><IsTruncated>true</IsTruncated><NextRecordName>e.x.test.</NextRecordName><NextRecordType>A</NextRecordType><NextRecordIdentifier>i</NextRecordIdentifier><MaxItems>300</MaxItems></ListResourceRecordSetsResponse>`

// FuzzPage holds that a page which is read here is what the SDK reads, and that all others are left to it.
func FuzzPage(f *testing.F) {
	for _, with := range []string{"<Name>é.x.test.</Name>", "<name>b</name>", "<Name/>", "<Name></Name>", "<Name><!-- c -->b</Name>", "<Name><![CDATA[b]]></Name>", "<x:Name>b</x:Name>", "<Name a='>'>b</Name>",
		"<Name>b</Nam>", "<Name>b\r\nc</Name>", "<Name>&#98;</Name>", "<Name>&other;</Name>", "<Name>b</Name><Name>c</Name>", "<TTL>-1</TTL>", "<TTL>1e3</TTL>", "<TTL>99999999999999999999</TTL>",
		"<CidrRoutingConfig><CollectionId>c</CollectionId></CidrRoutingConfig>", "<GeoProximityLocation><AWSRegion>r</AWSRegion></GeoProximityLocation>", "<TrafficPolicyInstanceId>t</TrafficPolicyInstanceId>",
		"<AliasTarget><EvaluateTargetHealth>True</EvaluateTargetHealth></AliasTarget>", "<ResourceRecords/>", "<New>1</New>", "text", "</ResourceRecordSet>", "<Name> b </Name>"} {
		f.Add([]byte(strings.Replace(aPage, "<Name>b.x.test.</Name>", with, 1)))
	}
	for n := 1; n < len(aPage); n += 97 {
		f.Add([]byte(aPage[:n]))
	}
	f.Add([]byte(aPage + "<more/>"))
	f.Add([]byte(aPage + aPage))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := pageOf(bytes.Clone(body))
		if err != nil {
			return
		}
		want, err := listed(answering{code: 200, body: body})
		if err != nil {
			t.Fatalf("the SDK does not read it: %v", err)
		}
		if diff := cmp.Diff(want, page, cmpopts.IgnoreFields(sdk.ListResourceRecordSetsOutput{}, "ResultMetadata"), unexported); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOtherPages holds that the SDK makes what it makes of a page that is not plain, and of an error.
func TestOtherPages(t *testing.T) {
	for what, a := range map[string]answering{
		"plain":       {200, []byte(aPage), nil},
		"more":        {200, []byte(strings.Replace(aPage, "<Weight>0</Weight>", "<CidrRoutingConfig><CollectionId>c</CollectionId><LocationName>l</LocationName></CidrRoutingConfig>", 1)), nil},
		"cut":         {200, []byte(aPage[:500]), nil},
		"lost":        {200, []byte(aPage[:500]), io.ErrUnexpectedEOF},
		"nothing":     {200, nil, nil},
		"throttled":   {400, []byte(`<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>r</RequestId></ErrorResponse>`), nil},
		"no such":     {404, []byte(`<ErrorResponse><Error><Code>NoSuchHostedZone</Code><Message>m</Message></Error></ErrorResponse>`), nil},
		"unavailable": {503, []byte("busy"), nil},
	} {
		t.Run(what, func(t *testing.T) {
			want, failed := listed(a)
			got, err := listed(a, readPages)
			if told, as := tell(err), tell(failed); told != as {
				t.Errorf("error %s\nwant  %s", told, as)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(sdk.ListResourceRecordSetsOutput{}, "ResultMetadata"), unexported); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func tell(err error) string {
	if err == nil {
		return "none"
	}
	return err.Error()
}

// TestPagesArePlain holds that what AWS answers for the records that we make is read here.
func TestPagesArePlain(t *testing.T) {
	if _, err := pageOf([]byte(aPage)); err != nil {
		t.Error(err)
	}
	w := world.New(world.Options{})
	zone := w.Zone("x.test")
	server := httptest.NewServer(w)
	defer server.Close()
	req := httptest.NewRequest("GET", "/2013-04-01/hostedzone/"+zone+"/rrset", nil)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=a/20261130/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=b")
	answer := httptest.NewRecorder()
	w.ServeHTTP(answer, req)
	if _, err := pageOf(answer.Body.Bytes()); err != nil {
		t.Errorf("%v: %s", err, answer.Body)
	}
}

var unexported = cmp.FilterPath(func(p cmp.Path) bool { return strings.HasSuffix(p.String(), "noSmithyDocumentSerde") }, cmp.Ignore())
