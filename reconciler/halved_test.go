package reconciler_test

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/edgewright/edgewright/fixtures/world"
	"github.com/edgewright/edgewright/reconciler"
)

// AWS refuses a batch for one record in it, for a reason that nobody can foresee. The others get through by halving it,
// and the reason stands on the page of the service that is at fault, and of no other.
func TestRefusedBatchIsHalved(t *testing.T) {
	const services, culprit, why = 16, "n11.trello.acme.example", "this name is not to be"
	b := newBench(t)
	b.converged()
	b.proxies.acknowledge(false)
	files := b.tree()
	for i := range services {
		files = with(files, fmt.Sprintf("services/trello/n%d.cue", i), declared(fmt.Sprint("n", i), "edge", "public", fmt.Sprintf("n%d.trello.acme.example", i)))
	}
	b.land(7, files)
	b.until("all wait for the proxies, to be made in one call", func() bool { return len(b.View().Steps) == services })
	fault := b.world.Inject(world.Fault{Operation: "ChangeResourceRecordSets", About: culprit, Times: 1000, Status: 400, Code: "InvalidInput", Message: why})
	before := len(b.world.Writes())
	b.proxies.acknowledge(true)
	blamed := func() (by []string) {
		for _, s := range b.View().Services {
			if strings.Contains(s.Why, why) {
				by = append(by, string(s.ID))
			}
		}
		return by
	}
	b.until("only the culprit is left", func() bool {
		v := b.View()
		return len(v.Steps) == 1 && v.Steps[0].State == reconciler.Failing && slices.Equal(blamed(), []string{"n11"})
	})
	deep := bits.Len(services) // each success lets the next call be a whole one again, so halving may begin that often anew
	if took := len(b.world.Writes()) - before; took > deep {
		t.Errorf("%d writes were taken, want at most %d", took, deep)
	}
	if fired, most := fault.Fired(), deep*(deep+1)/2; fired < 2 || fired > most {
		t.Errorf("%d calls were refused, want at most %d", fired, most)
	}
	fault.Remove()
	b.ahead.Add(int64(10 * 60 * 1e9))
	b.converged()
}
