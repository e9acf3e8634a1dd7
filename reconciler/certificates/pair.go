package certificates

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// mostCertificates bounds a chain, and mostAuthorities a file of authorities.
const (
	mostCertificates = 10
	mostAuthorities  = 200
	leastRSA         = 2048 // bits: Envoy takes no less
)

// pair is what is good: a certificate with those that vouch for it and its key, or authorities.
type pair struct {
	leaf *x509.Certificate // of authorities, the one that ends first
	pem  []byte            // certificates alone, whatever else the file holds
	key  secret.Value
}

func (p *pair) same(other *pair) bool {
	return bytes.Equal(p.pem, other.pem) && p.key.Reveal() == other.key.Reveal()
}

func (p *pair) expires() time.Time { return p.leaf.NotAfter }

func (p *pair) secret(name string, f files) xds.Secret {
	if f.authorities != "" {
		return xds.Secret{Name: name, Authorities: p.pem}
	}
	return xds.Secret{Name: name, Chain: p.pem, Key: p.key}
}

// certificate checks a chain and its key.
func (f files) certificate(chain, key []byte, now time.Time) (p *pair, why string) {
	all, why := certificates(f.chain, chain, mostCertificates)
	if why != "" {
		return nil, why
	}
	leaf := all[0]
	private, why := f.privateKey(key)
	if why != "" {
		return nil, why
	}
	if public, is := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !is || !public.Equal(private.Public()) {
		return nil, fmt.Sprintf("the key in %s is not that of the first certificate in %s", f.key, f.chain)
	}
	if why := valid(f.chain, leaf, now); why != "" {
		return nil, why
	}
	for i, c := range all[1:] {
		if all[i].CheckSignatureFrom(c) != nil {
			return nil, fmt.Sprintf("%s: certificate %d is not signed by the one behind it: a chain begins with the certificate itself", f.chain, i+1)
		}
	}
	if why := f.covered(leaf); why != "" {
		return nil, why
	}
	return &pair{leaf: leaf, pem: encoded(all), key: secret.New(string(keyBlock(key)))}, ""
}

// authorities checks the certificates of those who vouch for clients.
func authorities(path string, data []byte, now time.Time) (p *pair, why string) {
	all, why := certificates(path, data, mostAuthorities)
	if why != "" {
		return nil, why
	}
	first := all[0]
	for i, c := range all {
		if !c.IsCA {
			return nil, fmt.Sprintf("%s: certificate %d is not that of an authority", path, i+1)
		}
		if why := valid(path, c, now); why != "" {
			return nil, why
		}
		if c.NotAfter.Before(first.NotAfter) {
			first = c
		}
	}
	return &pair{leaf: first, pem: encoded(all)}, ""
}

// covered tells which of the names that a certificate is shown for it does not hold.
func (f files) covered(leaf *x509.Certificate) (why string) {
	var without []string
	for _, h := range f.hosts {
		name := string(h)
		if below, wild := strings.CutPrefix(name, "*."); wild {
			name = "any-name-at-all." + below
		}
		if leaf.VerifyHostname(name) != nil {
			without = append(without, string(h))
		}
	}
	if len(without) > 0 {
		return fmt.Sprintf("the certificate in %s is not for %s", f.chain, strings.Join(without, ", "))
	}
	return ""
}

func valid(path string, c *x509.Certificate, now time.Time) (why string) {
	switch {
	case now.Before(c.NotBefore):
		return fmt.Sprintf("the certificate in %s is not valid before %s", path, c.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		return fmt.Sprintf("the certificate in %s has ended on %s", path, c.NotAfter.UTC().Format(time.RFC3339))
	}
	return ""
}

// certificates are those of a file, in their order.
func certificates(path string, data []byte, most int) (all []*x509.Certificate, why string) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Sprintf("%s: certificate %d cannot be read", path, len(all)+1)
		}
		if all = append(all, c); len(all) > most {
			return nil, fmt.Sprintf("%s holds more than %d certificates", path, most)
		}
	}
	if len(all) == 0 {
		return nil, path + " holds no certificate in PEM"
	}
	return all, ""
}

func encoded(all []*x509.Certificate) []byte {
	var out []byte
	for _, c := range all {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// keyBlock is the private key among what a file holds, nil: there is none, or it is encrypted.
func keyBlock(data []byte) []byte {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if strings.HasSuffix(block.Type, "PRIVATE KEY") && block.Type != "ENCRYPTED PRIVATE KEY" && len(block.Headers) == 0 {
			return pem.EncodeToMemory(block)
		}
	}
	return nil
}

// privateKey reads a key. What the parsers say of one that cannot be read is not told: it might tell of the key.
func (f files) privateKey(data []byte) (key crypto.Signer, why string) {
	block, _ := pem.Decode(keyBlock(data))
	if block == nil {
		return nil, f.key + " holds no private key in PEM that is not encrypted"
	}
	var parsed any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		parsed, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, f.key + ": the private key cannot be read"
	}
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < leastRSA {
			return nil, fmt.Sprintf("%s: an RSA key of less than %d bits is not safe", f.key, leastRSA)
		}
		return k, ""
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P224() {
			return nil, f.key + ": a key on an elliptic curve is on P-256, P-384, P-521 or Ed25519"
		}
		return k, ""
	case ed25519.PrivateKey:
		return k, ""
	}
	return nil, f.key + ": the private key is of a kind that no proxy takes"
}
