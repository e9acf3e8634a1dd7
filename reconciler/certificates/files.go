package certificates

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
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

// contents are what the files of a secret hold, or why they cannot be read.
type contents struct {
	chain, key, authorities []byte
	open                    bool // the key's file may be read by everybody
	err                     error
}

func (f files) read() contents {
	var c contents
	var errs []error
	one := func(path string, into *[]byte) (mode fs.FileMode) {
		data, mode, err := readFile(path)
		*into = data
		errs = append(errs, err)
		return mode
	}
	if f.authorities != "" {
		one(f.authorities, &c.authorities)
	} else {
		one(f.chain, &c.chain)
		c.open = one(f.key, &c.key).Perm()&0o004 != 0
	}
	c.err = errors.Join(errs...)
	return c
}

func (c contents) sum() (out sum) {
	hash := sha256.New()
	for _, data := range [][]byte{c.chain, c.key, c.authorities} {
		fmt.Fprintf(hash, "%d\n", len(data))
		hash.Write(data)
	}
	fmt.Fprintln(hash, c.err)
	hash.Sum(out[:0])
	return out
}

// check is what is good, or why it is not taken. What is told names paths and host names, never contents.
func (f files) check(c contents, now time.Time) (p *pair, why string) {
	switch {
	case c.err != nil:
		return nil, strings.ReplaceAll(c.err.Error(), "\n", "; ")
	case f.authorities != "":
		return authorities(f.authorities, c.authorities, now)
	}
	return f.certificate(c.chain, c.key, now)
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
