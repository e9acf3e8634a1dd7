package audit_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgewright/edgewright/reconciler/audit"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
)

func filled(t *testing.T, n int) (audit.Log, state.Store) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	log := audit.Log{Store: s}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			e := audit.Entry{At: time.Unix(int64(i), 0), Who: "pull #1", What: fmt.Sprintf("create %d", i), After: []byte(`{"ttl":5}`), Result: "applied"}
			if err := log.Append(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	return log, s
}

func TestChainOfConcurrentAppendsHolds(t *testing.T) {
	log, _ := filled(t, 5)
	if err := log.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := log.Entries(t.Context(), 2, 10)
	if err != nil || len(entries) != 3 || entries[0].Seq != 3 {
		t.Fatalf("entries after 2: %+v, %v", entries, err)
	}
}

func TestTamperingIsFound(t *testing.T) {
	const row = "0000000000000000003"
	cases := []struct {
		name string
		op   func(item state.Item) state.Op
		want string
	}{
		{"changed", func(item state.Item) state.Op {
			item.Value = []byte(strings.Replace(string(item.Value), "applied", "refused", 1))
			return state.Op{Table: "audit", Key: row, Value: item.Value, Version: state.Any}
		}, "entry 3 was changed"},
		{"removed", func(state.Item) state.Op { return state.Op{Table: "audit", Key: row, Version: state.Any} }, "entry 3 is missing"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			log, s := filled(t, 4)
			item, err := s.Get(t.Context(), "audit", row)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Write(t.Context(), c.op(item)); err != nil {
				t.Fatal(err)
			}
			if err := log.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("verify: %v, want %q", err, c.want)
			}
		})
	}
	t.Run("cut off", func(t *testing.T) {
		log, s := filled(t, 4)
		if err := s.Write(t.Context(), state.Op{Table: "audit", Key: "0000000000000000004", Version: state.Any}); err != nil {
			t.Fatal(err)
		}
		if err := log.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), "ends at entry 3") {
			t.Fatalf("verify: %v", err)
		}
	})
}
