package xds

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/edgewright/edgewright/schema"
)

// identity is what a certificate or a token shows that a proxy may be: a node of a fleet, or any.
type identity struct {
	fleet schema.FleetID
	node  string // empty: any
}

// rejection is why a proxy may not connect.
type rejection struct {
	Reason
	why string
}

// status is what the proxy is told.
func (r *rejection) status() error {
	code := codes.PermissionDenied
	switch r.Reason {
	case NoCredentials, BadToken, BadCertificate:
		code = codes.Unauthenticated
	case BadRequest:
		code = codes.InvalidArgument
	case UnknownFleet:
		code = codes.NotFound
	case TooManyStreams, TooFast:
		code = codes.ResourceExhausted
	}
	return status.Error(code, r.why)
}

// stranger tells why whoever opened a stream is nobody known. It is nil for all that could be a node of some fleet.
func (a *Access) stranger(ctx context.Context) *rejection {
	if a.open() {
		return nil
	}
	_, _, no := a.shown(ctx)
	return no
}

// admit tells whether whoever opened a stream may be this node. It is nil when it may.
func (a *Access) admit(ctx context.Context, n node) *rejection {
	if a.open() {
		return nil
	}
	shown, by, no := a.shown(ctx)
	if no != nil {
		return no
	}
	fleets := slices.ContainsFunc(shown, func(i identity) bool { return i.fleet == n.fleet })
	if !fleets {
		return &rejection{WrongFleet, fmt.Sprintf("the %s is not for fleet %q, which node.cluster names", by, n.fleet)}
	}
	if !slices.ContainsFunc(shown, func(i identity) bool { return i.fleet == n.fleet && (i.node == "" || i.node == n.id) }) {
		return &rejection{WrongNode, fmt.Sprintf("the %s is not for node %q, which node.id names", by, n.id)}
	}
	return nil
}

// shown are the identities that a stream shows, and by what.
func (a *Access) shown(ctx context.Context) (shown []identity, by string, no *rejection) {
	if chain := certificatesOf(ctx); a.authorities != nil && len(chain) > 0 {
		if err := a.vouched(chain); err != nil {
			return nil, "", &rejection{BadCertificate, "the certificate is not good any more: " + err.Error()}
		}
		if shown = a.identities(chain[0]); len(shown) == 0 {
			return nil, "", &rejection{NoIdentity, "the certificate names no fleet: it wants a URI spiffe://<trust domain>/fleet/<fleet> or …/fleet/<fleet>/node/<node>, or a DNS name that --xds-names lists"}
		}
		return shown, "certificate", nil
	}
	bearer, given := bearerOf(ctx)
	switch {
	case a.tokens == nil:
		return nil, "", &rejection{NoCredentials, "a client certificate is wanted"}
	case !given:
		return nil, "", &rejection{NoCredentials, "a token is wanted, in the metadata authorization: Bearer …"}
	}
	if shown = fleetsOf(a.tokens.get(), bearer); len(shown) == 0 {
		return nil, "", &rejection{BadToken, "the token is not known"}
	}
	return shown, "token", nil
}

// certificatesOf are those that a proxy showed and that were good when it connected, its own first.
func certificatesOf(ctx context.Context) []*x509.Certificate {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return nil
	}
	return info.State.PeerCertificates
}

// vouched tells whether the authorities of now vouch for a certificate: a connection may be older than they are.
func (a *Access) vouched(chain []*x509.Certificate) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: a.authorities.get(), Intermediates: between, CurrentTime: a.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err
}

// identities are those that a certificate names.
func (a *Access) identities(c *x509.Certificate) []identity {
	var out []identity
	for _, u := range c.URIs {
		if i, ok := a.spiffe(u); ok {
			out = append(out, i)
		}
	}
	if a.names == nil {
		return out
	}
	names := a.names.get()
	for _, name := range c.DNSNames {
		if i, ok := names[strings.ToLower(name)]; ok {
			out = append(out, i)
		}
	}
	return out
}

// spiffe reads spiffe://<trust domain>/fleet/<fleet> and spiffe://<trust domain>/fleet/<fleet>/node/<node>.
func (a *Access) spiffe(u *url.URL) (identity, bool) {
	if u.Scheme != "spiffe" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		a.trustDomain != "" && u.Host != a.trustDomain {
		return identity{}, false
	}
	path := strings.Split(u.Path, "/")
	switch {
	case slices.Contains(path[1:], ""):
		return identity{}, false
	case len(path) == 3 && path[1] == "fleet":
		return identity{fleet: schema.FleetID(path[2])}, true
	case len(path) == 5 && path[1] == "fleet" && path[3] == "node":
		return identity{fleet: schema.FleetID(path[2]), node: path[4]}, true
	}
	return identity{}, false
}

// token is a fleet's token, of which only the digest is kept.
type token struct {
	digest [sha256.Size]byte
	fleet  schema.FleetID
}

func bearerOf(ctx context.Context) (string, bool) {
	m, _ := metadata.FromIncomingContext(ctx)
	for _, v := range m.Get("authorization") {
		if scheme, rest, ok := strings.Cut(v, " "); ok && strings.EqualFold(scheme, "bearer") {
			return strings.TrimSpace(rest), true
		}
	}
	return "", false
}

// fleetsOf are the fleets that a token is for. How long it takes does not depend on the token.
func fleetsOf(tokens []token, bearer string) []identity {
	var out []identity
	digest := sha256.Sum256([]byte(bearer))
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(digest[:], t.digest[:]) == 1 {
			out = append(out, identity{fleet: t.fleet})
		}
	}
	return out
}
