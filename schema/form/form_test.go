package form

import (
	"testing"

	"github.com/edgewright/edgewright/schema"
)

func TestRead(t *testing.T) {
	s, err := Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range s.Names() {
		f := s[n]
		t.Logf("%s %s %v %q", n, f.Kind, f.Order, f.Message)
	}
}
