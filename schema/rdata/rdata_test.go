package rdata

import (
	"strings"
	"testing"
)

func TestWrong(t *testing.T) {
	for _, c := range []struct{ kind, good, bad string }{
		{"A", "192.0.2.1", "192.0.2.256"},
		{"A", "0.0.0.0", "::1"},
		{"AAAA", "2001:db8::1", "192.0.2.1"},
		{"AAAA", "::1", "fe80::1%eth0"},
		{"CNAME", "www.acme.example.", "www..acme.example"},
		{"CNAME", "_x.acme.example", "www.acme.example:80"},
		{"NS", "ns1.acme.example", ""},
		{"MX", "0 mail.acme.example.", "10  mail.acme.example"},
		{"MX", "65535 mail.acme.example", "65536 mail.acme.example"},
		{"SRV", "0 0 0 sip.acme.example", "0 0 sip.acme.example"},
		{"CAA", `128 iodef "mailto:a@acme.example"`, `0 issue ca.example`},
		{"CAA", `0 issue ";"`, `0 issue "a"b"`},
		{"TXT", `"one" "two"`, `one`},
		{"TXT", `""`, `"one`},
		{"TXT", `"` + strings.Repeat("x", 255) + `"`, `"` + strings.Repeat("x", 256) + `"`},
		{"TXT", `"` + strings.Repeat(`\303`, 255) + `"`, `"` + strings.Repeat(`\303`, 256) + `"`},
	} {
		if why := Wrong(c.kind, c.good); why != "" {
			t.Errorf("%s %s is refused: %s", c.kind, c.good, why)
		}
		if Wrong(c.kind, c.bad) == "" {
			t.Errorf("%s %s is taken", c.kind, c.bad)
		}
	}
}

// FuzzText holds that every text that is not too long has a form that is right, and that no two have the same.
func FuzzText(f *testing.F) {
	f.Add("v=spf1 -all", `quoted " and \ `)
	f.Add("é", strings.Repeat("x", 300))
	f.Fuzz(func(t *testing.T, a, b string) {
		if why := Wrong("TXT", Text(a)); why != "" && len(Text(a)) <= MaxText {
			t.Errorf("%q becomes %s: %s", a, Text(a), why)
		}
		if a != b && Text(a) == Text(b) {
			t.Errorf("%q and %q both become %s", a, b, Text(a))
		}
	})
}
