package route53

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/orisano/gosax"
)

// maxPage is the largest page that is read here, in bytes: 300 records of 400 values each have room in it.
const maxPage = 16 << 20

const deserializer = "OperationDeserializer" // how the SDK calls what reads an answer

// readPages reads pages of records in a fifth of the time that the SDK takes: they are most of what a daemon reads. It knows plain pages
// only. Of an error, and of a page with anything else on it, the SDK makes what it makes.
func readPages(stack *middleware.Stack) error {
	if stack.ID() != "ListResourceRecordSets" {
		return nil
	}
	own, there := stack.Deserialize.Get(deserializer)
	if !there {
		return fmt.Errorf("the SDK has no %s", deserializer)
	}
	_, err := stack.Deserialize.Swap(deserializer, pageReader{own})
	return err
}

type pageReader struct {
	sdk middleware.DeserializeMiddleware
}

func (pageReader) ID() string { return deserializer }

func (p pageReader) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, metadata, err := next.HandleDeserialize(ctx, in)
	answer, is := out.RawResponse.(*smithyhttp.Response)
	if err == nil && is && answer.StatusCode == 200 {
		page, whole := readPage(answer.Body)
		if page != nil {
			out.Result = page
			return out, metadata, nil
		}
		answer.Body = struct {
			io.Reader
			io.Closer
		}{whole, answer.Body}
	}
	same := func(context.Context, middleware.DeserializeInput) (middleware.DeserializeOutput, middleware.Metadata, error) {
		return out, metadata, err
	}
	return p.sdk.HandleDeserialize(ctx, in, middleware.DeserializeHandlerFunc(same))
}

// bodies are for bodies that are read and forgotten: a zone is listed again and again.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readPage reads a page, or else gives back the body as it was.
func readPage(body io.Reader) (*sdk.ListResourceRecordSetsOutput, io.Reader) {
	read := bodies.Get().(*bytes.Buffer)
	read.Reset()
	n, failed := read.ReadFrom(io.LimitReader(body, maxPage))
	if failed == nil && n < maxPage {
		if page, err := pageOf(read.Bytes()); err == nil {
			bodies.Put(read)
			return page, nil
		}
	}
	return nil, io.MultiReader(read, failing{failed}, body)
}

// failing is a reader that fails, or has nothing.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return 0, io.EOF
}

var readers = sync.Pool{New: func() any { return gosax.NewReaderSize(nil, 32<<10) }}

// pageOf reads a page (Route53 API Reference, ListResourceRecordSets), or says that it is not plain.
func pageOf(body []byte) (*sdk.ListResourceRecordSetsOutput, error) {
	p := page{readers.Get().(*gosax.Reader)}
	defer readers.Put(p.events)
	p.events.Reset(bytes.NewReader(body))
	var out *sdk.ListResourceRecordSetsOutput
	err := p.children("", func(root []byte) error {
		if out != nil || string(root) != "ListResourceRecordSetsResponse" {
			return errUnusual
		}
		out = &sdk.ListResourceRecordSetsOutput{}
		return p.children("ListResourceRecordSetsResponse", func(name []byte) error {
			switch string(name) {
			case "ResourceRecordSets":
				return list(p, "ResourceRecordSets", "ResourceRecordSet", pageSize, &out.ResourceRecordSets, p.set)
			case "IsTruncated":
				return value(p, "IsTruncated", &out.IsTruncated, truth)
			case "MaxItems":
				return value(p, "MaxItems", &out.MaxItems, number)
			case "NextRecordName":
				return value(p, "NextRecordName", &out.NextRecordName, text)
			case "NextRecordType":
				return value(p, "NextRecordType", &out.NextRecordType, word)
			case "NextRecordIdentifier":
				return value(p, "NextRecordIdentifier", &out.NextRecordIdentifier, text)
			}
			return errUnusual
		})
	})
	if err != nil || out == nil {
		return nil, errUnusual
	}
	return out, nil
}

func (p page) set(r *types.ResourceRecordSet) error {
	return p.children("ResourceRecordSet", func(name []byte) error {
		switch string(name) {
		case "Name":
			return value(p, "Name", &r.Name, text)
		case "Type":
			return value(p, "Type", &r.Type, word)
		case "TTL":
			return value(p, "TTL", &r.TTL, long)
		case "ResourceRecords":
			return list(p, "ResourceRecords", "ResourceRecord", 2, &r.ResourceRecords, p.record)
		case "AliasTarget":
			return one(&r.AliasTarget, p.alias)
		case "SetIdentifier":
			return value(p, "SetIdentifier", &r.SetIdentifier, text)
		case "Weight":
			return value(p, "Weight", &r.Weight, long)
		case "Region":
			return value(p, "Region", &r.Region, word)
		case "Failover":
			return value(p, "Failover", &r.Failover, word)
		case "GeoLocation":
			return one(&r.GeoLocation, p.location)
		case "MultiValueAnswer":
			return value(p, "MultiValueAnswer", &r.MultiValueAnswer, choice)
		case "HealthCheckId":
			return value(p, "HealthCheckId", &r.HealthCheckId, text)
		}
		return errUnusual
	})
}

func (p page) record(r *types.ResourceRecord) error {
	return p.children("ResourceRecord", func(name []byte) error {
		if string(name) != "Value" {
			return errUnusual
		}
		return value(p, "Value", &r.Value, text)
	})
}

func (p page) alias(a *types.AliasTarget) error {
	return p.children("AliasTarget", func(name []byte) error {
		switch string(name) {
		case "HostedZoneId":
			return value(p, "HostedZoneId", &a.HostedZoneId, text)
		case "DNSName":
			return value(p, "DNSName", &a.DNSName, text)
		case "EvaluateTargetHealth":
			return value(p, "EvaluateTargetHealth", &a.EvaluateTargetHealth, truth)
		}
		return errUnusual
	})
}

func (p page) location(g *types.GeoLocation) error {
	return p.children("GeoLocation", func(name []byte) error {
		switch string(name) {
		case "ContinentCode":
			return value(p, "ContinentCode", &g.ContinentCode, text)
		case "CountryCode":
			return value(p, "CountryCode", &g.CountryCode, text)
		case "SubdivisionCode":
			return value(p, "SubdivisionCode", &g.SubdivisionCode, text)
		}
		return errUnusual
	})
}
