package state

import (
	"context"
	"encoding/json"
	"time"

	"github.com/edgewright/edgewright/schema"
)

// Freeze is a time in which nothing is changed, as somebody asked for beside the declarations. Until counts to the second; the days of
// the embedded one are not used.
type Freeze struct {
	Name  string    `json:"name"`
	By    string    `json:"by"`
	At    time.Time `json:"at"`
	Until time.Time `json:"ends"`
	schema.Freeze
}

// Freezes are those that were asked for, by name.
type Freezes struct{ Store Store }

const freezeTable = "freeze"

// Put writes a freeze in place of the one of that name.
func (v Freezes) Put(ctx context.Context, f Freeze) error {
	return write(ctx, v.Store, freezeTable, f.Name, f)
}

// Delete drops the freeze of a name.
func (v Freezes) Delete(ctx context.Context, name string) error {
	return v.Store.Write(ctx, Op{Table: freezeTable, Key: name, Version: Any})
}

// All reads every freeze by name.
func (v Freezes) All(ctx context.Context) (map[string]Freeze, error) {
	freezes := map[string]Freeze{}
	err := all(ctx, v.Store, freezeTable, func(item Item) error {
		var f Freeze
		err := json.Unmarshal(item.Value, &f)
		freezes[f.Name] = f
		return err
	})
	return freezes, err
}
