package xds

import (
	"maps"
	"slices"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/render/envoy"
)

// layers are what a stream knows of runtime layers, which a proxy asks for by name.
type layers struct {
	*ledger
	wanted map[string]bool // by name: whether the proxy waits for an answer
}

func newLayers() *layers {
	return &layers{ledger: newLedger(runtimeType), wanted: map[string]bool{}}
}

func (l *layers) subscribe(r *discoveryv3.DeltaDiscoveryRequest, first bool) error {
	l.want(l.wanted, r, first)
	if len(l.wanted) > maxLayers {
		return status.Errorf(codes.ResourceExhausted, "more than %d runtime layers on one stream", maxLayers)
	}
	return nil
}

// offerRuntime answers at once: a proxy that starts asks for its runtime first, and for nothing else until it has it.
func (t *stream) offerRuntime() error {
	if !t.runtime.idle() {
		return nil
	}
	out := &response{}
	for _, name := range slices.Sorted(maps.Keys(t.runtime.wanted)) {
		waits := t.runtime.wanted[name]
		t.runtime.wanted[name] = false
		switch layer := t.frame.runtime; {
		case name == envoy.RuntimeLayer && t.runtime.has[name] != layer.Version:
			out.added = append(out.added, layer)
		case name != envoy.RuntimeLayer && waits:
			out.removed = append(out.removed, name)
		}
	}
	if out.empty() {
		return nil
	}
	return t.answer(t.runtime.ledger, out)
}
