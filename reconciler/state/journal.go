package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

// Intent is a call that is about to be made. It is open until its outcome is known; after a crash the open ones are looked into.
type Intent struct {
	ID      string         `json:"id"`
	Scope   resource.Scope `json:"scope"`
	Steps   []plan.Step    `json:"steps"`
	Commit  string         `json:"commit,omitempty"`
	Digest  string         `json:"digest"`
	At      time.Time      `json:"at"`
	Token   string         `json:"token,omitempty"` // AWS's change id, once it took the change
	Seen    []resource.Key `json:"seen,omitempty"`  // what was there as intended while the rest was as before: the call may still come
	Outcome *plan.Outcome  `json:"outcome,omitempty"`
	Done    time.Time      `json:"done,omitzero"`
}

// Journal is the intents. The open ones are in a table of their own, so that a start reads only them.
type Journal struct{ Store Store }

const (
	openTable = "intent-open"
	doneTable = "intent-done"
)

// Begin writes an intent before its call. The same ID twice is ErrConflict.
func (j Journal) Begin(ctx context.Context, i Intent) error {
	op, err := put(openTable, i.ID, i, Absent)
	if err != nil {
		return err
	}
	return j.Store.Write(ctx, op)
}

// SetToken notes that AWS took the change and by which id it can be asked about.
func (j Journal) SetToken(ctx context.Context, id, token string) error {
	i, version, err := j.open(ctx, id)
	if err != nil {
		return err
	}
	i.Token = token
	op, err := put(openTable, id, i, version)
	if err != nil {
		return err
	}
	return j.Store.Write(ctx, op)
}

// Claim notes that a part of a call without an answer is there, with the inventory entries that follow from it, in one write. The intent
// stays open.
func (j Journal) Claim(ctx context.Context, id string, seen []resource.Key, entries []Entry, more ...Op) error {
	i, version, err := j.open(ctx, id)
	if err != nil {
		return err
	}
	i.Seen = seen
	op, err := put(openTable, id, i, version)
	if err != nil {
		return err
	}
	owned, err := inventoryOps(entries)
	if err != nil {
		return err
	}
	return j.Store.Write(ctx, slices.Concat([]Op{op}, owned, more)...)
}

// Finish closes an intent and writes the inventory entries that follow from it, and whatever else comes with it, in one write.
func (j Journal) Finish(ctx context.Context, id string, outcome plan.Outcome, now time.Time, entries []Entry, more ...Op) error {
	i, version, err := j.open(ctx, id)
	if err != nil {
		return err
	}
	i.Outcome, i.Done = &outcome, now
	done, err := put(doneTable, fmt.Sprintf("%s %s", now.UTC().Format("20060102T150405.000000000"), id), i, Any)
	if err != nil {
		return err
	}
	owned, err := inventoryOps(entries)
	if err != nil {
		return err
	}
	return j.Store.Write(ctx, slices.Concat([]Op{{Table: openTable, Key: id, Version: version}, done}, owned, more)...)
}

// Open lists the intents whose outcome is not known.
func (j Journal) Open(ctx context.Context) ([]Intent, error) { return j.list(ctx, openTable) }

// Finished lists the intents whose outcome is known, oldest first.
func (j Journal) Finished(ctx context.Context) ([]Intent, error) { return j.list(ctx, doneTable) }

func (j Journal) list(ctx context.Context, table string) ([]Intent, error) {
	var out []Intent
	err := all(ctx, j.Store, table, func(item Item) error {
		var i Intent
		err := json.Unmarshal(item.Value, &i)
		out = append(out, i)
		return err
	})
	return out, err
}

func (j Journal) open(ctx context.Context, id string) (Intent, int64, error) {
	i, version, ok, err := read[Intent](ctx, j.Store, openTable, id)
	if err == nil && !ok {
		err = fmt.Errorf("intent %s: %w", id, ErrNotFound)
	}
	return i, version, err
}
