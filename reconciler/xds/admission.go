package xds

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Admission is how proxies show who they are: by a certificate, by a token, or, on loopback, not at all.
type Admission struct {
	Cert, Key   string // files with our certificate and key; none: no TLS
	ClientCA    string // file with the authorities that vouch for certificates of proxies
	TrustDomain string // of their SPIFFE identities; empty: any that the authorities vouch for
	Names       string // file that says which DNS names in certificates are which proxies
	Tokens      string // file with tokens of fleets
	Anyone      bool   // the network is trusted: whoever reaches us may connect
}

// Check tells every fault of an admission for a server that listens at an address.
func (a Admission) Check(listen string) error {
	var faults []error
	fault := func(is bool, text string) {
		if is {
			faults = append(faults, errors.New(text))
		}
	}
	fault((a.Cert == "") != (a.Key == ""), "--xds-tls-cert and --xds-tls-key go together: give both or none")
	fault(a.ClientCA != "" && a.Cert == "", "--xds-client-ca needs --xds-tls-cert and --xds-tls-key: proxies show a certificate over TLS only")
	fault(a.ClientCA == "" && (a.Names != "" || a.TrustDomain != ""), "--xds-names and --xds-trust-domain need --xds-client-ca: they are about certificates of proxies")
	fault(a.Anyone && (a.ClientCA != "" || a.Tokens != ""), "--xds-anyone lets everybody in: leave it out, or leave out --xds-client-ca and --xds-tokens")
	if loopback(listen) {
		return errors.Join(faults...)
	}
	fault(a.Tokens != "" && a.Cert == "", fmt.Sprintf("--xds-tokens on %s would send tokens in the clear: add --xds-tls-cert and --xds-tls-key, or listen on 127.0.0.1", listen))
	fault(a.ClientCA == "" && a.Tokens == "" && !a.Anyone, fmt.Sprintf("--xds %s is open to whoever reaches it: add --xds-client-ca or --xds-tokens (with --xds-tls-cert and --xds-tls-key) "+
		"so that proxies show who they are, or --xds-anyone if the network is trusted, or listen on 127.0.0.1", listen))
	return errors.Join(faults...)
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	at, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && at.Unmap().IsLoopback()
}

// Access is an admission with its files read. They are read again when they change.
type Access struct {
	now          func() time.Time
	certificates *watched[tls.Certificate]
	authorities  *watched[*x509.CertPool]
	names        *watched[map[string]identity]
	tokens       *watched[[]token]
	trustDomain  string
}

// Open reads the files of an admission.
func (a Admission) Open(log *slog.Logger, now func() time.Time) (*Access, error) {
	out := &Access{now: now, trustDomain: a.TrustDomain}
	var errs [4]error
	if a.Cert != "" {
		out.certificates, errs[0] = watch(log, now, parseCertificate, a.Cert, a.Key)
	}
	if a.ClientCA != "" {
		out.authorities, errs[1] = watch(log, now, parseAuthorities, a.ClientCA)
	}
	if a.Names != "" {
		out.names, errs[2] = watch(log, now, parseNames, a.Names)
	}
	if a.Tokens != "" {
		out.tokens, errs[3] = watch(log, now, parseTokens, a.Tokens)
	}
	return out, errors.Join(errs[:]...)
}

// open tells whether everybody may connect.
func (a *Access) open() bool { return a == nil || a.authorities == nil && a.tokens == nil }
