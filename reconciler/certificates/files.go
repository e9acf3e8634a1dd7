package certificates

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// files are those of one secret: a chain and a key, or authorities alone.
type files struct {
	name        string // as people know it
	chain, key  string // paths
	hosts       []schema.Hostname
	authorities string // path
}

// sum tells contents apart, and nothing about them.
type sum [sha256.Size]byte

func (f files) same(other files) bool {
	return f.chain == other.chain && f.key == other.key && f.authorities == other.authorities && slices.Equal(f.hosts, other.hosts)
}

// named are the files of the secrets that a fleet's listeners need, by name of the secret.
func named(fleet schema.Fleet) map[string]files {
	needed := envoy.Secrets(fleet)
	out := map[string]files{}
	for _, c := range fleet.Certificates {
		if name := envoy.CertificateSecret(c.ID); slices.Contains(needed, name) {
			out[name] = files{name: string(c.ID), chain: c.Chain, key: c.Key, hosts: c.Hosts}
		}
	}
	for _, l := range fleet.Listeners {
		if l.TLS == nil {
			continue
		}
		for _, p := range l.TLS.Policies {
			if name := envoy.ClientsSecret(l.Exposure, p.ID); p.Clients != "" {
				out[name] = files{name: name, authorities: p.Clients}
			}
		}
	}
	return out
}

func (f files) paths() []string {
	if f.authorities != "" {
		return []string{f.authorities}
	}
	return []string{f.chain, f.key}
}

// sum is over what all the files hold.
func (f files) sum(read map[string]content) (out sum) {
	hash := sha256.New()
	for _, path := range f.paths() {
		c := read[path]
		fmt.Fprintf(hash, "%d %v\n", len(c.data), c.err)
		hash.Write(c.data)
	}
	hash.Sum(out[:0])
	return out
}

// check is what is good, or why it is not taken. What is told names paths and host names, never contents.
func (f files) check(read map[string]content, now time.Time) (p *pair, why string) {
	var errs []error
	for _, path := range f.paths() {
		errs = append(errs, read[path].err)
	}
	switch err := errors.Join(errs...); {
	case err != nil:
		return nil, strings.ReplaceAll(err.Error(), "\n", "; ")
	case f.authorities != "":
		return authorities(f.authorities, read[f.authorities].data, now)
	}
	return f.certificate(read[f.chain].data, read[f.key].data, now)
}

// open tells whether everybody on the machine may read the key.
func (f files) open(read map[string]content) bool { return read[f.key].mode.Perm()&0o004 != 0 }
