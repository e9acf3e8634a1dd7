package schema

import (
	"cmp"
	"slices"
	"strings"
)

// Names that the platform team gives.
type (
	CertificateID string
	PolicyID      string
)

// Certificate is where the daemon finds a certificate and its private key: paths of PEM files, never what is in them.
type Certificate struct {
	ID    CertificateID `json:"id"`
	Chain string        `json:"chain"` // leaf first
	Key   string        `json:"key"`
	Hosts []Hostname    `json:"hosts"` // that it is shown for; a wildcard stands for one label

	Exposure Exposure `json:"exposure,omitempty"` // of the only listener that shows it; empty: all do
}

// Certified are the certificates that a listener of the fleet may show.
func (f Fleet) Certified(e Exposure) []Certificate {
	return slices.DeleteFunc(slices.Clone(f.Certificates), func(c Certificate) bool { return c.Exposure != "" && c.Exposure != e })
}

// TLS makes a listener take nothing but TLS.
type TLS struct {
	Policies []TLSPolicy `json:"policies"` // sorted by ID; in CUE a struct keyed by ID; never empty
	Default  PolicyID    `json:"default"`  // the policy of all hosts that no other is bound to
}

// TLSPolicy says what a client must speak and show to be answered.
type TLSPolicy struct {
	ID      PolicyID   `json:"id"`
	Minimum string     `json:"minimum"`           // "1.2" or "1.3"
	Ciphers []string   `json:"ciphers,omitempty"` // of TLS 1.2; empty: the proxy's own choice
	Hosts   []Hostname `json:"hosts,omitempty"`   // none: the default; a wildcard stands for all names below
	Clients string     `json:"clients,omitempty"` // path of a PEM file with the authorities of clients; empty: nobody is asked
}

// StandardTLS is the policy of a listener that declares none.
func StandardTLS() TLSPolicy { return TLSPolicy{ID: "default", Minimum: "1.2"} }

// Policy is the one to which a host is bound: by its name, else by the longest wildcard above it, else the default. The host may be a wildcard.
func (t TLS) Policy(host Hostname) PolicyID {
	best, id := -1, t.Default
	for _, p := range t.Policies {
		for _, h := range p.Hosts {
			above, wild := strings.CutPrefix(string(h), "*")
			if (h == host || wild && strings.HasSuffix(string(host), above)) && len(h) > best {
				best, id = len(h), p.ID
			}
			if h == host {
				return p.ID
			}
		}
	}
	return id
}

// Shown are the certificates that a listener shows under a policy, sorted by ID: the best for each name that the policy is bound to, and
// those for other names below its wildcards; under the default, those for names that no policy is bound to.
func (t TLS) Shown(p TLSPolicy, all []Certificate) []Certificate {
	var out []Certificate
	for _, h := range p.Hosts {
		if c, ok := For(h, all); ok {
			out = append(out, c)
		}
	}
	for _, c := range all {
		if slices.ContainsFunc(c.Hosts, func(h Hostname) bool { return t.Policy(h) == p.ID }) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b Certificate) int { return cmp.Compare(a.ID, b.ID) })
	return slices.CompactFunc(out, func(a, b Certificate) bool { return a.ID == b.ID })
}

// For is the certificate for a name: that which is for the very name, else that for a wildcard in the place of its first label.
func For(host Hostname, all []Certificate) (Certificate, bool) {
	_, parent, _ := strings.Cut(string(host), ".")
	for _, name := range []Hostname{host, Hostname("*." + parent)} {
		for _, c := range all {
			if slices.Contains(c.Hosts, name) {
				return c, true
			}
		}
	}
	return Certificate{}, false
}

// Bound is the policy of that name.
func (t TLS) Bound(id PolicyID) (TLSPolicy, bool) {
	return find(t.Policies, id, func(p TLSPolicy) PolicyID { return p.ID })
}
