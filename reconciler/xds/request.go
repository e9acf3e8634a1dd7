package xds

import (
	"strings"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// take notes what a request says: an acknowledgement or a refusal, and what the proxy wants from now on.
func (t *stream) take(r *discoveryv3.DeltaDiscoveryRequest) error {
	l := t.ledger(r.GetTypeUrl())
	if l == nil {
		t.log.Debug("request for a type that is not served", "type", r.GetTypeUrl())
		return nil
	}
	if err := bounded(r); err != nil {
		return err
	}
	first := !l.asked
	l.open(r.GetInitialResourceVersions())
	if l == t.clusters && first {
		t.strays, t.calm = map[string]bool{}, len(l.has) == 0 && !t.vague
		for name := range l.has {
			t.strays[name] = true
		}
	}
	if !first && wildcard(l.url) && len(r.GetResourceNamesSubscribe())+len(r.GetResourceNamesUnsubscribe()) > 0 {
		t.askedAnew(l)
	}
	if l == t.routes {
		if err := t.subscribe(r, first); err != nil {
			return err
		}
	}
	for _, a := range []*requested{t.runtime, t.filters} {
		if l != a.ledger {
			continue
		}
		if err := a.subscribe(r, first); err != nil {
			return err
		}
	}
	if l == t.secrets.ledger {
		if err := t.secrets.subscribe(r, first); err != nil {
			return err
		}
	}
	if l.out == nil || r.GetResponseNonce() != l.out.nonce {
		return nil
	}
	out := l.out
	l.out = nil
	if bad := r.GetErrorDetail(); bad != nil {
		t.refusal(l, out, cut(bad.GetMessage(), maxError))
		return nil
	}
	t.acknowledged(l, out)
	return nil
}

func (t *stream) ledger(url string) *ledger {
	switch url {
	case clusterType:
		return t.clusters
	case listenerType:
		return t.listeners
	case scopeType:
		return t.scopes
	case routeType:
		return t.routes
	case runtimeType:
		return t.runtime.ledger
	case extensionType:
		return t.filters.ledger
	case secretType:
		return t.secrets.ledger
	default:
		return nil
	}
}

func bounded(r *discoveryv3.DeltaDiscoveryRequest) error {
	if len(r.GetResourceNamesSubscribe()) > maxNames || len(r.GetInitialResourceVersions()) > maxNames {
		return status.Errorf(codes.ResourceExhausted, "more than %d names in a request", maxNames)
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		if len(name) > maxName {
			return status.Errorf(codes.InvalidArgument, "a resource name is longer than %d bytes", maxName)
		}
	}
	for name, version := range r.GetInitialResourceVersions() {
		if len(name) > maxName || len(version) > maxName {
			return status.Errorf(codes.InvalidArgument, "a resource name or version is longer than %d bytes", maxName)
		}
	}
	return nil
}

// subscribe notes which route configurations the proxy wants. What it asks for again it gets again, but for what it says that
// it has.
func (t *stream) subscribe(r *discoveryv3.DeltaDiscoveryRequest, first bool) error {
	for _, name := range r.GetResourceNamesUnsubscribe() {
		if t.buckets[name] != nil || t.arrived && t.frame.holds(name) {
			t.unsubscribe(name, t.bucket(name))
		}
	}
	for _, name := range r.GetResourceNamesSubscribe() {
		b := t.bucket(name)
		b.subscribed = true
		if !first || r.GetInitialResourceVersions()[name] == "" {
			delete(t.routes.has, name)
		}
		t.dirty[name] = struct{}{}
	}
	if len(t.buckets) > maxNames {
		return status.Errorf(codes.ResourceExhausted, "more than %d route configurations on one stream", maxNames)
	}
	return nil
}

func (t *stream) unsubscribe(name string, b *bucket) {
	for id := range t.holders(name, b) {
		t.loosen(id)
		t.stale[id] = struct{}{}
		t.unsettled[id] = struct{}{}
	}
	b.subscribed, b.known, b.doubt, b.may = false, false, false, nil
	delete(t.routes.has, name)
	if t.frame != nil && !t.frame.holds(name) {
		t.forget(name)
	}
}

// askedAnew has a type answered once more: what the proxy asks for of it is not what it was.
func (t *stream) askedAnew(l *ledger) {
	switch l.answered = false; l {
	case t.scopes:
		t.scoped, t.pruned = nil, nil
	case t.listeners:
		t.packed = nil
	}
}

// acknowledged notes that the proxy has all of an answer.
func (t *stream) acknowledged(l *ledger, out *response) {
	switch l {
	case t.clusters:
		if out.given() && t.lazy {
			t.partThere()
		} else {
			t.clustersThere(out, nil)
		}
	case t.routes:
		t.routesThere(out)
	}
}

// cut shortens a text from elsewhere.
func cut(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "?")
}

// line is a text as one short line.
func line(text string) string { return cut(strings.Join(strings.Fields(text), " "), maxWhy) }
