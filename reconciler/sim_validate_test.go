package reconciler

import (
	"context"
	"log/slog"
	"testing"

	"github.com/edgewright/edgewright/reconciler/validate"
	"github.com/edgewright/edgewright/reconciler/xds"
	"github.com/edgewright/edgewright/render/envoy"
)

// onlooker is a validator that takes everything, when it is its turn, and notes what it was asked about.
type onlooker struct{ sim *sim }

func (onlooker) By() string { return "onlooker" }

func (o onlooker) Validate(_ context.Context, units []envoy.Unit) []validate.Verdict {
	for _, u := range units {
		o.sim.looked[u.Hash()] = true
	}
	return make([]validate.Verdict, len(units))
}

// checkLooked holds that nobody is served what nobody has looked at.
func (s *sim) checkLooked(r xds.Release) {
	for _, id := range sortedKeys(r.Services) {
		if u := r.Services[id].Unit; s.looked != nil && len(u.Domains) > 0 && !s.looked[u.Hash()] {
			s.fail("%s of fleet %s is served, and nobody has looked at it", id, r.Fleet.ID)
		}
	}
}

// TestSimulationValidates plays seeds with a validator that takes its time, while all the rest happens: it must not come to anything else.
func TestSimulationValidates(t *testing.T) {
	looked := 0
	for seed := range uint64(60) {
		s := newSim(t, seed+1, slog.New(slog.DiscardHandler), func(s *sim) { s.looked = map[string]bool{} })
		if fault := s.play(); fault != nil {
			t.Errorf("seed %d: %v", seed+1, fault)
		}
		looked += len(s.looked)
	}
	if looked < 60*20 {
		t.Errorf("only %d contents were looked at", looked)
	}
}
