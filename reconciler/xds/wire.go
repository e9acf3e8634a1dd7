package xds

import (
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
)

// wire carries requests and answers over one gRPC stream. What is kept of a proxy is kept in terms of differences, as incremental
// xDS has them, whatever its streams speak.
type wire interface {
	// receive waits for the next request, as the proxy sent it.
	receive() (message, error)

	// read puts a request in terms of differences. It is nil when the request says nothing: it answers what is out of date.
	read(node string, r message) *discoveryv3.DeltaDiscoveryRequest

	// whole tells whether each answer of a wildcard type holds all that the proxy is to have of it.
	whole() bool

	// vague tells whether the proxy came with resources of a type of which nobody knows.
	vague(url string) bool

	// send sends an answer, after its ledger took note of it. It is not needed when the proxy has all of it already, or when
	// the wire has no words for it: it counts as acknowledged then.
	send(*ledger, prepared) (needed bool, err error)

	// recognise tells whether these are what the proxy said, when it came, that it has of a type. Without words for it: no.
	recognise(url string, all []*discoveryv3.Resource) bool

	// close is called once, when nothing is read or sent any more.
	close(node string)
}

// message is a request as a proxy sends it.
type message interface {
	GetNode() *corev3.Node
	GetTypeUrl() string
}

// deltaWire speaks incremental xDS.
type deltaWire struct {
	grpc.BidiStreamingServer[discoveryv3.DeltaDiscoveryRequest, discoveryv3.DeltaDiscoveryResponse]
	only string // the type that the stream carries, which its requests need not say; empty: any
}

func (w deltaWire) receive() (message, error) {
	r, err := w.Recv()
	if err != nil {
		return nil, err // not a nil request in a message that is not nil
	}
	if r.TypeUrl == "" {
		r.TypeUrl = w.only
	}
	return r, nil
}

func (deltaWire) read(_ string, m message) *discoveryv3.DeltaDiscoveryRequest {
	return m.(*discoveryv3.DeltaDiscoveryRequest)
}

func (deltaWire) whole() bool       { return false }
func (deltaWire) vague(string) bool { return false }

func (w deltaWire) send(_ *ledger, r prepared) (bool, error) { return true, w.SendMsg(r) }

func (deltaWire) recognise(string, []*discoveryv3.Resource) bool { return false } // it says the version of each

func (deltaWire) close(string) {}
