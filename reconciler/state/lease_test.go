package state_test

import (
	"errors"
	"testing"

	"github.com/edgewright/edgewright/reconciler/state"
)

// TestFencedHolderWritesNothing holds that whoever had the lease before changes no row, whatever it demands of it.
func TestFencedHolderWritesNothing(t *testing.T) {
	s := open(t)
	lease := state.Lease{Store: s}
	first, err := lease.Read(t.Context())
	must(t, err)
	a, err := lease.Take(t.Context(), first, "a", noon)
	must(t, err)
	if _, err := lease.Take(t.Context(), first, "b", noon); !errors.Is(err, state.ErrConflict) {
		t.Fatalf("the lease was taken twice as it was at first: %v", err)
	}
	old := state.Fenced{Store: s, Epoch: func() int64 { return a.Epoch }}
	row := func(version int64) state.Op {
		return state.Op{Table: "t", Key: "k", Value: []byte("x"), Version: version}
	}
	must(t, old.Write(t.Context(), row(state.Absent)))
	if err := old.Write(t.Context(), row(state.Absent)); !errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrFenced) {
		t.Fatalf("a row that moved: %v, want ErrConflict alone", err)
	}

	seen, err := lease.Read(t.Context())
	must(t, err)
	must(t, lease.Renew(t.Context(), a))
	if _, err := lease.Take(t.Context(), seen, "b", noon); !errors.Is(err, state.ErrConflict) {
		t.Fatalf("the lease was taken from who had just renewed it: %v", err)
	}
	seen, err = lease.Read(t.Context())
	must(t, err)
	b, err := lease.Take(t.Context(), seen, "b", noon)
	must(t, err)
	for _, version := range []int64{1, state.Any, 7} {
		if err := old.Write(t.Context(), row(version)); !errors.Is(err, state.ErrFenced) || errors.Is(err, state.ErrConflict) {
			t.Errorf("who had the lease before writes at version %d: %v, want ErrFenced alone", version, err)
		}
	}
	if err := errors.Join(lease.Renew(t.Context(), a), lease.GiveBack(t.Context(), a)); !errors.Is(err, state.ErrFenced) {
		t.Errorf("renewing and giving back what another has: %v", err)
	}
	must(t, lease.GiveBack(t.Context(), b))
	if now, err := lease.Read(t.Context()); err != nil || now.Holder != "" || now.Epoch != b.Epoch+1 {
		t.Errorf("given back, the lease is %+v, %v", now, err)
	}
	if err := (state.Fenced{Store: s, Epoch: func() int64 { return b.Epoch }}).Write(t.Context(), row(state.Any)); !errors.Is(err, state.ErrFenced) {
		t.Errorf("who gave it back writes: %v", err)
	}
	if err := (state.Fenced{Store: s, Epoch: func() int64 { return 0 }}).Write(t.Context(), row(state.Any)); !errors.Is(err, state.ErrFenced) {
		t.Errorf("who never had it writes: %v", err)
	}
	if item, err := s.Get(t.Context(), "t", "k"); err != nil || item.Version != 1 {
		t.Errorf("the row is at version %d, %v", item.Version, err)
	}
}
