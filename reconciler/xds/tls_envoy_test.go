package xds

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/authority"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// secured is a fleet whose public listener has two policies: strict for one name, and the default for all others.
func secured() schema.Fleet {
	return schema.Fleet{
		ID: "edge",
		Listeners: []schema.Listener{{Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "modern", Policies: []schema.TLSPolicy{
			{ID: "modern", Minimum: "1.2"},
			{ID: "strict", Minimum: "1.3", Hosts: []schema.Hostname{"pay.test"}},
		}}}},
		Certificates: []schema.Certificate{
			{ID: "first", Chain: "/first.pem", Key: "/first.key", Hosts: []schema.Hostname{"a.test", "x.test"}},
			{ID: "pay", Chain: "/pay.pem", Key: "/pay.key", Hosts: []schema.Hostname{"pay.test"}},
			{ID: "wild", Chain: "/wild.pem", Key: "/wild.key", Hosts: []schema.Hostname{"*.wild.test"}},
		},
	}
}

func secretOf(id schema.CertificateID, c authority.Certificate) Secret {
	return Secret{Name: envoy.CertificateSecret(id), Chain: c.Chain, Key: secret.New(string(c.Key))}
}

// caller speaks TLS to a proxy, with a connection of its own for each request unless it keeps them.
func caller(at string, config *tls.Config) *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, at)
	}
	return &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: dial, TLSClientConfig: config, ForceAttemptHTTP2: true, DisableKeepAlives: true}}
}

func fetch(c *http.Client, host string) (*http.Response, string, error) {
	r, err := c.Get("https://" + host + "/")
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	return r, string(body), err
}

func TestTLSByName(t *testing.T) {
	ca := authority.New(t)
	first, pay, wild := ca.Issue("a.test", "x.test"), ca.Issue("pay.test"), ca.Issue("*.wild.test")
	s, port := control(t)
	s.Entrust("edge", []Secret{secretOf("first", first), secretOf("pay", pay), secretOf("wild", wild)})
	r := release(declaredAt(t, "a", backend(t, "blue"), "a.test", "pay.test", "*.wild.test"))
	r.Fleet = secured()
	s.Publish(r)
	at := realProxy(t, "one", port)
	for _, one := range []struct {
		host, serial string
		version      uint16
	}{
		{"a.test", first.Serial(t), tls.VersionTLS13},
		{"a.test", first.Serial(t), tls.VersionTLS12},
		{"x.wild.test", wild.Serial(t), tls.VersionTLS13},
		{"pay.test", pay.Serial(t), tls.VersionTLS13},
		{"pay.test", "", tls.VersionTLS12},
		{"a.test", "", tls.VersionTLS11},
	} {
		c := caller(at, &tls.Config{RootCAs: ca.Pool(), MinVersion: tls.VersionTLS10, MaxVersion: one.version})
		if one.serial == "" {
			if _, _, err := fetch(c, one.host); err == nil {
				t.Errorf("%s is answered with version %x", one.host, one.version)
			}
			continue
		}
		var got *http.Response
		var body string
		eventually(t, one.host+" is answered", func() (ok bool) {
			var err error
			got, body, err = fetch(c, one.host)
			if err != nil {
				t.Log(err)
			}
			return err == nil && got.StatusCode == 200
		})
		if serial := got.TLS.PeerCertificates[0].SerialNumber.String(); serial != one.serial || body != "blue" || got.ProtoMajor != 2 {
			t.Errorf("%s: certificate %s, body %q, %s", one.host, serial, body, got.Proto)
		}
	}
}
