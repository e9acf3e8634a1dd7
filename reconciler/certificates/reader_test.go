package certificates

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgewright/edgewright/schema"
)

// TestSilentFileSystem has one file never answer: others are read all the same, nobody waits longer than their patience, and it is not
// asked again and again.
func TestSilentFileSystem(t *testing.T) {
	s := newScene(t)
	first := s.write(t)
	var asked atomic.Int64
	answer := make(chan struct{})
	s.reader = reader{patience: 50 * time.Millisecond, open: func(path string) content {
		if strings.HasSuffix(path, "other.pem") {
			asked.Add(1)
			<-answer
		}
		return readFile(path)
	}}
	other := s.fleet.Certificates[0]
	other.ID, other.Chain, other.Hosts = "other", s.path("other.pem"), []schema.Hostname{"other.test"}
	s.fleet.Certificates = append(s.fleet.Certificates, other)
	began := time.Now()
	s.Keep(s.fleet)
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	s.shows(t, first)
	second := s.write(t)
	for range 5 {
		s.Look()
	}
	s.shows(t, second)
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	if why := s.States()[0].Why; why != other.Chain+": the file system does not answer" {
		t.Errorf("why is %q", why)
	}
	c := s.ca.Issue("other.test")
	c.Write(t, s.dir, "other")
	close(answer)
	s.fleet.Certificates[1].Key = s.path("other.key")
	for end := time.Now().Add(5 * time.Second); len(s.given.secrets) < 2 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.Keep(s.fleet)
		s.Look()
	}
	if len(s.given.secrets) != 2 {
		t.Error("it is not read once it answers")
	}
}
