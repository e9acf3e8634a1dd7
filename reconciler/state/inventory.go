package state

import (
	"context"
	"encoding/json"
	"time"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// Entry says that a resource is ours: what was last applied, for whom and what it led to. It is made when AWS has taken the
// creation, and goes after AWS has taken the deletion.
type Entry struct {
	Key     resource.Key     `json:"key"`
	Service schema.ServiceID `json:"service,omitempty"`
	Spec    resource.Value   `json:"spec,omitempty"` // nil: the resource is gone, only Gone is left
	Needs   []resource.Key   `json:"needs,omitempty"`
	Commit  string           `json:"commit,omitempty"`
	Applied time.Time        `json:"applied"`
	ZoneID  string           `json:"zone,omitempty"`   // Route53's, where it was declared: the platform may no longer say it
	Account schema.Account   `json:"account,omitzero"` // that holds the zone, likewise
	Gone    []Gone           `json:"gone,omitempty"`   // where it led before, as long as somebody may still follow it there
}

// Gone says what the resource no longer leads to, and since when: until TTL has passed, somebody may still follow it there.
type Gone struct {
	At    time.Time      `json:"at"`
	TTL   time.Duration  `json:"ttl"` // nanoseconds
	Needs []resource.Key `json:"needs,omitempty"`
}

// Until is when nobody follows it any more.
func (g Gone) Until(margin time.Duration) time.Time { return g.At.Add(g.TTL + margin) }

// Inventory is the entries by key.
type Inventory struct{ Store Store }

const inventoryTable = "inventory"

// Put writes an entry; one with neither Spec nor Gone is removed.
func (v Inventory) Put(ctx context.Context, e Entry) error {
	op, err := inventoryOp(e)
	if err != nil {
		return err
	}
	return v.Store.Write(ctx, op)
}

// PutAll writes entries, and whatever else comes with them, in one write.
func (v Inventory) PutAll(ctx context.Context, entries []Entry, more ...Op) error {
	ops, err := inventoryOps(entries)
	if err != nil {
		return err
	}
	return v.Store.Write(ctx, append(ops, more...)...)
}

// All reads every entry.
func (v Inventory) All(ctx context.Context) (map[resource.Key]Entry, error) {
	entries := map[resource.Key]Entry{}
	err := all(ctx, v.Store, inventoryTable, func(item Item) error {
		var e Entry
		if err := json.Unmarshal(item.Value, &e); err != nil {
			return err
		}
		entries[e.Key] = e
		return nil
	})
	return entries, err
}

func inventoryOp(e Entry) (Op, error) {
	if e.Spec == nil && len(e.Gone) == 0 {
		return Op{Table: inventoryTable, Key: e.Key.String(), Version: Any}, nil
	}
	return put(inventoryTable, e.Key.String(), e, Any)
}

func inventoryOps(entries []Entry) ([]Op, error) {
	ops := make([]Op, 0, len(entries))
	for _, e := range entries {
		op, err := inventoryOp(e)
		if err != nil {
			return nil, err
		}
		ops = append(ops, op)
	}
	return ops, nil
}
