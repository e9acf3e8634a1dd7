package certificates

import (
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/authority"
	"github.com/edgewright/edgewright/schema"
)

// FuzzFiles reads whatever files may hold: what is taken is whole and for its name, and of what is not taken nothing is told but its path.
func FuzzFiles(f *testing.F) {
	ca := authority.New(f)
	good, other := ca.Issue("a.test"), ca.Issue("b.test")
	f.Add(good.Chain, good.Key)
	f.Add(good.Key, good.Chain)
	f.Add(other.Chain, other.Key)
	f.Add(append(good.Key, good.Chain...), good.Key[:60])
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN EC PRIVATE KEY-----\nMAA=\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, chain, key []byte) {
		one := files{name: "web", chain: "/web.pem", key: "/web.key", hosts: []schema.Hostname{"a.test"}}
		p, why := one.check(map[string]content{one.chain: {path: one.chain, data: chain}, one.key: {path: one.key, data: key}}, time.Now())
		switch {
		case (p == nil) == (why == ""):
			t.Fatalf("taken %v, and why it is not: %q", p != nil, why)
		case p == nil:
			if words := strings.NewReplacer(one.chain, "", one.key, "").Replace(why); len(words) > 120 || !strings.Contains(why, "/web.") {
				t.Errorf("it is told %q", why)
			}
		default:
			block, rest := pem.Decode(p.pem)
			if block == nil || block.Type != "CERTIFICATE" || strings.Contains(string(rest), "PRIVATE") || p.leaf.VerifyHostname("a.test") != nil {
				t.Errorf("taken is %s", p.pem)
			}
			if _, rest := pem.Decode([]byte(p.key.Reveal())); len(rest) != 0 {
				t.Error("there is more than a key in the key")
			}
		}
	})
}
