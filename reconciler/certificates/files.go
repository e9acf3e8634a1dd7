package certificates

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
)

// maxFile bounds a file, in bytes: a chain of ten certificates is a tenth of it.
const maxFile = 256 << 10

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

// read is what the files hold, or why it is not taken. What is told names paths and host names, never contents.
func (f files) read(now time.Time) (p *pair, of sum, why string) {
	hash := sha256.New()
	content := func(path string) ([]byte, fs.FileMode, error) {
		data, mode, err := readFile(path)
		fmt.Fprintf(hash, "%s %d %v\n", path, len(data), err)
		hash.Write(data)
		return data, mode, err
	}
	if f.authorities != "" {
		data, _, err := content(f.authorities)
		hash.Sum(of[:0])
		if err != nil {
			return nil, of, err.Error()
		}
		p, why = authorities(f.authorities, data, now)
		return p, of, why
	}
	chain, _, chainErr := content(f.chain)
	key, mode, keyErr := content(f.key)
	hash.Sum(of[:0])
	if err := errors.Join(chainErr, keyErr); err != nil {
		return nil, of, errors.Join(chainErr, keyErr).Error()
	}
	p, why = f.certificate(chain, key, now)
	if p != nil {
		p.open = mode.Perm()&0o004 != 0
	}
	return p, of, why
}

// readFile reads a regular file that is not too large. A pipe does not make it wait.
func readFile(path string) ([]byte, fs.FileMode, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s is no file", path)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read %s: %w", path, err)
	case len(data) > maxFile:
		return nil, 0, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return data, info.Mode(), nil
}
