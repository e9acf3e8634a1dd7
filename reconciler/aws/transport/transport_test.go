package transport_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"github.com/edgewright/edgewright/reconciler/aws/transport"
)

// slow is net/http on a machine so busy that the body of a request is looked at last when the answer has come already.
type slow struct {
	sent []byte
	next chan *http.Request
}

func (s *slow) Do(r *http.Request) (*http.Response, error) {
	var err error
	if s.sent, err = io.ReadAll(io.LimitReader(r.Body, r.ContentLength)); err != nil {
		return nil, err
	}
	s.next <- r
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(
		`<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>`,
	))}, nil
}

// TestKeepAnswer: what net/http looks for behind a body that the SDK has closed is its end, and no error.
func TestKeepAnswer(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []func(*route53.Options)
		want    error
	}{
		{"kept", []func(*route53.Options){func(o *route53.Options) { o.APIOptions = append(o.APIOptions, transport.KeepAnswer) }}, nil},
		{"as the SDK does; where this fails, the package has had its day", nil, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &slow{next: make(chan *http.Request, 1)}
			client := route53.NewFromConfig(aws.Config{Region: "us-east-1", HTTPClient: s, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}, c.options...)
			out, err := client.ChangeResourceRecordSets(t.Context(), &route53.ChangeResourceRecordSetsInput{
				HostedZoneId: aws.String("Z1"),
				ChangeBatch: &types.ChangeBatch{Changes: []types.Change{{Action: types.ChangeActionCreate, ResourceRecordSet: &types.ResourceRecordSet{
					Name: aws.String("a.test."), Type: types.RRTypeA, TTL: aws.Int64(5), ResourceRecords: []types.ResourceRecord{{Value: aws.String("192.0.2.1")}},
				}}}},
			})
			if err != nil || aws.ToString(out.ChangeInfo.Id) != "/change/C1" {
				t.Fatalf("answered %v: %v", out, err)
			}
			if !strings.Contains(string(s.sent), "<Name>a.test.</Name>") {
				t.Errorf("sent was %q", s.sent)
			}
			r := <-s.next
			if n, err := io.Copy(io.Discard, r.Body); n != 0 || err != c.want {
				t.Errorf("behind the closed body stand %d bytes and %v, want none and %v", n, err, c.want)
			}
		})
	}
}
