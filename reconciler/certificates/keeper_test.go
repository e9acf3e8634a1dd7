package certificates

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/edgewright/edgewright/fixtures/authority"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/schema"
)

// entrusted notes what the proxies are given.
type entrusted struct {
	times   int
	secrets map[string]xds.Secret
}

// Entrust implements Proxies.
func (e *entrusted) Entrust(_ schema.FleetID, secrets []xds.Secret) {
	e.times++
	e.secrets = map[string]xds.Secret{}
	for _, s := range secrets {
		e.secrets[s.Name] = s
	}
}

// scene is a fleet with one certificate in a folder.
type scene struct {
	*Keeper
	dir   string
	ca    *authority.Authority
	given *entrusted
	log   *bytes.Buffer
	now   time.Time
	fleet schema.Fleet
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{dir: t.TempDir(), ca: authority.New(t), given: &entrusted{}, log: &bytes.Buffer{}, now: time.Now()}
	s.Keeper = &Keeper{Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return s.now }, Proxies: s.given}
	s.fleet = schema.Fleet{
		ID:           "edge",
		Listeners:    []schema.Listener{{Exposure: "public", Port: 443, TLS: &schema.TLS{Default: "default", Policies: []schema.TLSPolicy{schema.StandardTLS()}}}},
		Certificates: []schema.Certificate{{ID: "web", Chain: s.path("web.pem"), Key: s.path("web.key"), Hosts: []schema.Hostname{"a.test", "*.b.test"}}},
	}
	return s
}

func (s *scene) path(name string) string { return filepath.Join(s.dir, name) }

// write puts a certificate for the names of the scene into its place.
func (s *scene) write(t *testing.T) authority.Certificate {
	t.Helper()
	c := s.ca.Issue("a.test", "*.b.test")
	c.Write(t, s.dir, "web")
	return c
}

func (s *scene) why(t *testing.T) string {
	t.Helper()
	states := s.States()
	if len(states) != 1 {
		t.Fatalf("states are %+v", states)
	}
	return states[0].Why
}

func (s *scene) shows(t *testing.T, c authority.Certificate) {
	t.Helper()
	got := s.given.secrets["certificate/web"]
	if !bytes.Equal(got.Chain, c.Chain) || got.Key.Reveal() != string(c.Key) {
		t.Errorf("what is shown is not certificate %s", c.Serial(t))
	}
}

func TestRotation(t *testing.T) {
	s := newScene(t)
	first := s.write(t)
	s.Keep(s.fleet)
	s.shows(t, first)
	s.Look()
	s.Keep(s.fleet)
	if s.given.times != 1 {
		t.Errorf("the proxies were given secrets %d times, want once", s.given.times)
	}
	second := s.write(t)
	s.Look()
	s.shows(t, second)
	if s.given.times != 2 {
		t.Errorf("the proxies were given secrets %d times, want twice", s.given.times)
	}
	s.fleet.Listeners[0].TLS = nil
	s.Keep(s.fleet)
	if len(s.given.secrets) != 0 {
		t.Errorf("a fleet that needs none is given %d secrets", len(s.given.secrets))
	}
}

// TestBadFiles puts each kind of bad files into the place of good ones: the last good one stays, and everybody is told why, once.
func TestBadFiles(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is to be refused
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"a.test", "*.b.test"}
	for _, one := range []struct {
		name, want string
		change     func(*testing.T, *scene)
	}{
		{"no chain", "open DIR/web.pem: no such file or directory", func(t *testing.T, s *scene) { remove(t, s.path("web.pem")) }},
		{"no files", "open DIR/web.pem: no such file or directory; open DIR/web.key: no such file or directory", func(t *testing.T, s *scene) {
			remove(t, s.path("web.pem"))
			remove(t, s.path("web.key"))
		}},
		{"a folder", "DIR/web.pem is no file", func(t *testing.T, s *scene) {
			remove(t, s.path("web.pem"))
			if err := os.Mkdir(s.path("web.pem"), 0o700); err != nil {
				t.Fatal(err)
			}
		}},
		{"a pipe", "DIR/web.key is no file", func(t *testing.T, s *scene) {
			remove(t, s.path("web.key"))
			if err := syscall.Mkfifo(s.path("web.key"), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"too large", "DIR/web.pem is larger than 262144 bytes", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.pem"), bytes.Repeat([]byte("x"), maxFile+1))
		}},
		{"empty", "DIR/web.pem holds no certificate in PEM", func(t *testing.T, s *scene) { authority.Replace(t, s.path("web.pem"), nil) }},
		{"cut off", "DIR/web.pem holds no certificate in PEM", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.pem"), s.ca.Issue(names...).Chain[:300])
		}},
		{"garbage within", "DIR/web.pem: certificate 1 cannot be read", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("garbage")}))
		}},
		{"too long", "DIR/web.pem holds more than 10 certificates", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.pem"), bytes.Repeat(s.ca.PEM(), 11))
		}},
		{"wrong order", "DIR/web.pem: certificate 1 is not signed by the one behind it: a chain begins with the certificate itself", func(t *testing.T, s *scene) {
			c := s.ca.Issue(names...)
			c.Chain = append(leafOf(c), authority.New(t).PEM()...)
			c.Write(t, s.dir, "web")
		}},
		{"no key", "DIR/web.key holds no private key in PEM that is not encrypted", func(t *testing.T, s *scene) { authority.Replace(t, s.path("web.key"), s.ca.PEM()) }},
		{"encrypted key", "DIR/web.key holds no private key in PEM that is not encrypted", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.key"), pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("x")}))
		}},
		{"garbage key", "DIR/web.key: the private key cannot be read", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("garbage")}))
		}},
		{"weak key", "DIR/web.key: an RSA key of less than 2048 bits is not safe", func(t *testing.T, s *scene) {
			s.ca.Make(authority.Order{Names: names, Key: small}).Write(t, s.dir, "web")
		}},
		{"odd key", "DIR/web.key: a key on an elliptic curve is on P-256, P-384, P-521 or Ed25519", func(t *testing.T, s *scene) {
			s.ca.Make(authority.Order{Names: names, Key: p224}).Write(t, s.dir, "web")
		}},
		{"key of another", "the key in DIR/web.key is not that of the first certificate in DIR/web.pem", func(t *testing.T, s *scene) {
			authority.Replace(t, s.path("web.key"), s.ca.Issue(names...).Key)
		}},
		{"ended", "the certificate in DIR/web.pem has ended on ", func(t *testing.T, s *scene) {
			s.ca.Make(authority.Order{Names: names, Until: s.now.Add(-time.Minute)}).Write(t, s.dir, "web")
		}},
		{"not yet", "the certificate in DIR/web.pem is not valid before ", func(t *testing.T, s *scene) {
			s.ca.Make(authority.Order{Names: names, From: s.now.Add(time.Minute)}).Write(t, s.dir, "web")
		}},
		{"other names", "the certificate in DIR/web.pem is not for *.b.test", func(t *testing.T, s *scene) { s.ca.Issue("a.test", "x.b.test").Write(t, s.dir, "web") }},
	} {
		t.Run(one.name, func(t *testing.T) {
			s := newScene(t)
			good := s.write(t)
			s.Keep(s.fleet)
			one.change(t, s)
			s.Look()
			if why := s.why(t); why != "" {
				t.Errorf("it is told at once: %s; the files may be about to be replaced", why)
			}
			for range 3 {
				s.Look()
			}
			if got := strings.ReplaceAll(s.why(t), s.dir, "DIR"); !strings.HasPrefix(got, one.want) {
				t.Errorf("got  %s\nwant %s", got, one.want)
			}
			s.shows(t, good)
			if n := strings.Count(s.log.String(), "certificate not taken"); n != 1 || s.given.times != 1 {
				t.Errorf("it was warned of %d times, and secrets were given %d times: want once", n, s.given.times)
			}
			_ = os.RemoveAll(s.path("web.pem"))
			next := s.write(t)
			s.Look()
			s.shows(t, next)
			if why := s.why(t); why != "" {
				t.Errorf("with good files: %s", why)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func leafOf(c authority.Certificate) []byte {
	block, _ := pem.Decode(c.Chain)
	return pem.EncodeToMemory(block)
}

// TestBadFromTheStart has no good files ever: nothing is shown, and it is told at once.
func TestBadFromTheStart(t *testing.T) {
	s := newScene(t)
	s.Keep(s.fleet)
	if len(s.given.secrets) != 0 || s.given.times != 1 || !strings.Contains(s.why(t), "no such file") || !strings.Contains(s.log.String(), "shown=none") {
		t.Errorf("given %d secrets %d times, why %q, log %s", len(s.given.secrets), s.given.times, s.why(t), s.log)
	}
	s.Look()
	if n := strings.Count(s.log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings, want one", n)
	}
	s.shows(t, func() authority.Certificate { defer s.Look(); return s.write(t) }())
}

// TestOtherPaths has a declaration name other files: a mistake there keeps what was good, unless it is for other names.
func TestOtherPaths(t *testing.T) {
	s := newScene(t)
	good := s.write(t)
	s.Keep(s.fleet)
	moved := s.fleet
	moved.Certificates = []schema.Certificate{s.fleet.Certificates[0]}
	moved.Certificates[0].Chain = s.path("typo.pem")
	s.Keep(moved)
	s.shows(t, good)
	if !strings.Contains(s.why(t), "typo.pem") {
		t.Errorf("why is %q", s.why(t))
	}
	moved.Certificates[0].Hosts = []schema.Hostname{"c.test"}
	s.Keep(moved)
	if len(s.given.secrets) != 0 {
		t.Error("a certificate is shown for a name that it does not hold")
	}
}

func TestAuthorities(t *testing.T) {
	s := newScene(t)
	s.write(t)
	s.fleet.Listeners[0].TLS.Policies[0].Clients = s.path("clients.pem")
	authority.Replace(t, s.path("clients.pem"), s.ca.PEM())
	s.Keep(s.fleet)
	got := s.given.secrets["clients/public/default"]
	if !bytes.Equal(got.Authorities, s.ca.PEM()) || !got.Key.Empty() || got.Chain != nil {
		t.Errorf("authorities are %+v", got)
	}
	authority.Replace(t, s.path("clients.pem"), s.ca.Issue("a.test").Chain)
	s.Look()
	s.Look()
	if !bytes.Equal(s.given.secrets["clients/public/default"].Authorities, s.ca.PEM()) {
		t.Error("a certificate that is no authority's was taken")
	}
	if want := "clients.pem: certificate 1 is not that of an authority"; !strings.Contains(s.log.String(), want) {
		t.Errorf("the log lacks %q:\n%s", want, s.log)
	}
}

// TestEnding warns once a day of a certificate that ends within two weeks.
func TestEnding(t *testing.T) {
	s := newScene(t)
	s.ca.Make(authority.Order{Names: []string{"a.test", "*.b.test"}, Until: s.now.Add(20 * day)}).Write(t, s.dir, "web")
	s.Keep(s.fleet)
	for range 12 * 20 {
		s.now = s.now.Add(2 * time.Hour)
		s.Look()
	}
	if n := strings.Count(s.log.String(), "ends soon"); n < 13 || n > 15 {
		t.Errorf("it was warned of %d times", n)
	}
	s.write(t)
	before := s.log.Len()
	s.Look()
	if strings.Contains(s.log.String()[before:], "not taken") {
		t.Errorf("log says %s", s.log.String()[before:])
	}
}

func TestOpenKey(t *testing.T) {
	s := newScene(t)
	good := s.write(t)
	if err := os.Chmod(s.path("web.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.Keep(s.fleet)
	s.shows(t, good)
	if want := "everybody on the machine may read the private key"; strings.Count(s.log.String(), want) != 1 {
		t.Errorf("the log lacks %q:\n%s", want, s.log)
	}
}

func TestMetrics(t *testing.T) {
	s := newScene(t)
	s.Keep(s.fleet)
	reg := prometheus.NewRegistry()
	reg.MustRegister(Collector(s.Keeper))
	if diff := cmp.Diff(map[string]float64{"edgewright_certificate_failed edge web": 1}, gauges(t, reg)); diff != "" {
		t.Error(diff)
	}
	s.ca.Make(authority.Order{Names: []string{"a.test", "*.b.test"}, Until: s.now.Add(time.Hour)}).Write(t, s.dir, "web")
	s.Look()
	got := gauges(t, reg)
	if left := got["edgewright_certificate_expiry_seconds edge web"]; left < 3500 || left > 3600 || got["edgewright_certificate_failed edge web"] != 0 {
		t.Errorf("gauges are %v", got)
	}
}

func gauges(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			out[name] = m.GetGauge().GetValue()
		}
	}
	return out
}

// TestInvariant12NoKeyIsTold looks for pieces of private keys in all that is said: in the log, and in whatever prints the keeper.
func TestInvariant12NoKeyIsTold(t *testing.T) {
	s := newScene(t)
	keys := []authority.Certificate{s.write(t)}
	s.Keep(s.fleet)
	keys = append(keys, s.write(t))
	s.Look()
	swapped := s.ca.Issue("a.test", "*.b.test")
	keys = append(keys, swapped)
	authority.Replace(t, s.path("web.pem"), swapped.Key) // the files are mixed up
	authority.Replace(t, s.path("web.key"), swapped.Chain)
	s.Look()
	s.Look()
	authority.Replace(t, s.path("web.key"), swapped.Key[:len(swapped.Key)/2])
	s.Look()
	s.Look()
	said := s.log.String() + fmt.Sprintf("%v %+v %#v", s.States(), s.given.secrets, s.given.secrets) + fmt.Sprintf("%+v", *s.fleets["edge"]["certificate/web"].good)
	for _, c := range keys {
		for line := range strings.Lines(string(c.Key)) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && strings.Contains(said, line) {
				t.Fatal("a key is told")
			}
		}
		block, _ := pem.Decode(c.Key)
		for at := 40; at < 60; at++ { // within the private number; the public one behind it is in the certificate as well
			part := block.Bytes[at : at+8]
			for _, form := range []string{string(part), fmt.Sprintf("%x", part), base64.StdEncoding.EncodeToString(part)[:10]} {
				if strings.Contains(said, form) {
					t.Fatal("a piece of a key is told")
				}
			}
		}
	}
}
