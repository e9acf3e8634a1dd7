package reconciler

import (
	"testing"

	"github.com/edgewright/edgewright/render/resource"
)

func TestSettleNamesRecords(t *testing.T) {
	key := resource.Key{Kind: resource.DNSRecord, Scope: "zone/acme.example", Name: "A pay.acme.example blue"}
	for _, c := range []struct {
		q    Settle
		want bool
	}{
		{Settle{Names: []string{"pay.acme.example"}}, true},
		{Settle{Names: []string{"A pay.acme.example blue"}}, true},
		{Settle{Names: []string{"A pay.acme.example green"}}, false},
		{Settle{Names: []string{"acme.example"}}, false},
		{Settle{Zone: "acme.example."}, true},
		{Settle{Zone: "acme.internal", Names: []string{"pay.acme.example"}}, false},
	} {
		if got := c.q.names(key); got != c.want {
			t.Errorf("%+v names %s: %v", c.q, key.Name, got)
		}
	}
}
