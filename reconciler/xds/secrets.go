package xds

import (
	"maps"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// Secret is what the listeners of a fleet refer to by name: a certificate with its key, or the authorities of clients.
type Secret struct {
	Name        string
	Chain       []byte       // PEM; of a certificate
	Key         secret.Value // PEM
	Authorities []byte       // PEM; of clients
}

// Entrust replaces the secrets of a fleet. Each is sent to the proxies that ask for it and do not have it as it is now; its version is
// a hash over all of it. It may be called before the first Publish, so that nothing is lacking then.
func (s *Server) Entrust(id schema.FleetID, secrets []Secret) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	c := s.known(id)
	c.secrets = secrets
	for _, f := range c.of {
		before := f.frame
		f.entrust(secrets)
		s.tellLacking(f, before)
	}
}

// tellLacking warns of secrets that nobody has, when they are others than before.
func (s *Server) tellLacking(f *fleet, before *frame) {
	if f.frame == nil || len(f.frame.lacking) == 0 || before != nil && slices.Equal(before.lacking, f.frame.lacking) {
		return
	}
	s.log.Warn("secrets are lacking: proxies that have the listener keep it as it is, others close connections that need them", "fleet", f.id, "secrets", f.frame.lacking)
}

func (f *fleet) entrust(secrets []Secret) {
	next := map[string]*discoveryv3.Resource{}
	for _, s := range secrets {
		next[s.Name] = resource(secretType, s.Name, marshal(s.proto()))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, bad := range f.others {
		if r := next[secretName(name)]; secretName(name) != "" && (r == nil || r.Version != bad.version) {
			delete(f.others, name)
		}
	}
	f.secrets = next
	f.entrusted++
	if f.frame != nil {
		if lacking := f.frame.lackingOf(next); lacking != f.frame {
			f.frame, f.rest = lacking, f.rest.with(f, lacking, nil)
		}
	}
	for _, s := range f.seats {
		nudge(s.wake)
	}
	f.poke()
}

func (s Secret) proto() *tlsv3.Secret {
	if s.Authorities != nil {
		return &tlsv3.Secret{Name: s.Name, Type: &tlsv3.Secret_ValidationContext{
			ValidationContext: &tlsv3.CertificateValidationContext{TrustedCa: inline(s.Authorities)},
		}}
	}
	return &tlsv3.Secret{Name: s.Name, Type: &tlsv3.Secret_TlsCertificate{
		TlsCertificate: &tlsv3.TlsCertificate{CertificateChain: inline(s.Chain), PrivateKey: inline([]byte(s.Key.Reveal()))},
	}}
}

func inline(data []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: data}}
}

// lackingOf is the frame with what its listeners need and is not among these secrets.
func (f *frame) lackingOf(secrets map[string]*discoveryv3.Resource) *frame {
	lacking := slices.DeleteFunc(envoy.Secrets(f.fleet), func(name string) bool { return secrets[name] != nil })
	if slices.Equal(lacking, f.lacking) {
		return f
	}
	next := *f
	next.lacking = lacking
	return &next
}

// waits tells whether a listener refers to a secret that is lacking.
func (f *frame) waits(listener string) bool {
	return slices.ContainsFunc(f.fleet.Listeners, func(l schema.Listener) bool {
		return envoy.ListenerName(l) == listener && slices.ContainsFunc(envoy.SecretsOf(f.fleet, l), func(name string) bool {
			return slices.Contains(f.lacking, name)
		})
	})
}

// holdBack takes the listeners out of an answer that the proxy has already and that would lack a secret: they stay as they are until it is
// there. A listener that the proxy does not have is sent, and closes the connections of what lacks its secret.
func (t *stream) holdBack(out *response) (held bool) {
	out.added = slices.DeleteFunc(out.added, func(r *discoveryv3.Resource) bool {
		waits := t.listeners.has[r.Name] != "" && t.frame.waits(r.Name)
		held = held || waits
		return waits
	})
	return held
}

// vault is what a stream knows of secrets.
type vault struct {
	*ledger
	wanted map[string]bool // by name: whether the proxy waits for an answer
	came   bool            // it is past what the proxy had when it came
	calm   bool            // nothing is wanted that was not answered,
	at     int             // as of the secrets entrusted then
}

func newVault() *vault { return &vault{ledger: newLedger(secretType), wanted: map[string]bool{}} }

// subscribe notes which secrets the proxy wants.
func (v *vault) subscribe(r *discoveryv3.DeltaDiscoveryRequest, first bool) error {
	v.calm = v.calm && len(r.GetResourceNamesSubscribe()) == 0
	v.want(v.wanted, r, first)
	if len(v.wanted) > maxSecrets {
		return status.Errorf(codes.ResourceExhausted, "more than %d secrets on one stream", maxSecrets)
	}
	return nil
}

// answer is one secret that the proxy does not have as it is, and the names that it waits for and nobody has. It is alone so that a
// refusal is of nothing else: Envoy names none, and takes one that it has refused without a word when it is sent again. What the proxy has
// and nobody has any more stays, as long as a listener of it refers to it.
func (v *vault) answer(f *fleet) *response {
	out := &response{}
	f.mu.Lock()
	defer f.mu.Unlock()
	if v.calm && v.at == f.entrusted {
		return out
	}
	v.at = f.entrusted
	for _, name := range slices.Sorted(maps.Keys(v.wanted)) {
		r, waits := f.secrets[name], v.wanted[name]
		switch {
		case r == nil && waits:
			out.removed = append(out.removed, name)
			v.wanted[name] = false
		case r != nil && v.has[name] != r.Version && len(out.added) == 0:
			out.added = append(out.added, r)
			v.wanted[name] = false
		}
	}
	v.calm = len(out.added) == 0
	return out
}

// known are the secrets that are wanted and that somebody has, by name.
func (v *vault) known(f *fleet) []*discoveryv3.Resource {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*discoveryv3.Resource
	for _, name := range slices.Sorted(maps.Keys(v.wanted)) {
		if r := f.secrets[name]; r != nil {
			out = append(out, r)
		}
	}
	return out
}

// recall spares a proxy what it has from before, where it can tell of all together only.
func (t *stream) recall() {
	all := t.secrets.known(t.fleet)
	if len(all) == 0 || !t.has(secretType, all) {
		return
	}
	for _, r := range all {
		t.secrets.ledger.has[r.Name], t.secrets.wanted[r.Name] = r.Version, false
	}
}

// offerSecrets answers at once: the proxy waits, or is to have the new one.
func (t *stream) offerSecrets() error {
	if !t.secrets.idle() {
		return nil
	}
	if !t.secrets.came {
		t.recall()
		t.secrets.came = true
	}
	out := t.secrets.answer(t.fleet)
	if out.empty() {
		return nil
	}
	return t.answer(t.secrets.ledger, out)
}

// secretName is that of the secret that a refusal is of; empty: it is of something else.
func secretName(refused string) string {
	name, _ := strings.CutPrefix(refused, secretType+"/")
	if name == refused {
		return ""
	}
	return name
}
