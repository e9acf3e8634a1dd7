// Package audit is the record of who did what and why: append-only, each entry chained to the one before by a hash, so that a change
// of any of them is found.
//
// It is not the journal: the reconciler never reads it to decide.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/render/resource"
)

// Entry is one thing that was done, refused or agreed to.
type Entry struct {
	Seq    int64          `json:"seq"`
	At     time.Time      `json:"at"`
	Who    string         `json:"who"`
	Why    string         `json:"why"`  // commit, pull, or the digest that was applied
	What   string         `json:"what"` // verb and key, or what was agreed to
	Before resource.Value `json:"before,omitempty"`
	After  resource.Value `json:"after,omitempty"`
	Result string         `json:"result"`
	Prev   string         `json:"prev,omitempty"` // hash of the entry before
	Hash   string         `json:"hash,omitempty"` // of this entry, Prev included
}

// Log is the audit in a store.
type Log struct{ Store state.Store }

const (
	entryTable = "audit"
	headTable  = "audit-head"
	headKey    = "head"
	attempts   = 10 // against others that append at the same time
)

type head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Append adds entries at the end. Seq, Prev and Hash are filled in.
func (l Log) Append(ctx context.Context, entries ...Entry) error {
	return l.With(ctx, l.Store.Write, entries...)
}

// With lets a write of other things add entries at the end too: either all of it is done or nothing. It is tried again when others
// append at the same time.
func (l Log) With(ctx context.Context, write func(context.Context, ...state.Op) error, entries ...Entry) error {
	var err error
	for range attempts {
		var ops []state.Op
		if ops, err = l.ops(ctx, entries); err != nil {
			return err
		}
		if err = write(ctx, ops...); !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("append to audit: %w", err)
}

// ops are the writes by which entries come to the end.
func (l Log) ops(ctx context.Context, entries []Entry) ([]state.Op, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	last, version, err := l.head(ctx)
	if err != nil {
		return nil, err
	}
	var ops []state.Op
	for _, e := range entries {
		e.Seq, e.Prev, e.At = last.Seq+1, last.Hash, e.At.UTC()
		if e.Hash, err = e.hash(); err != nil {
			return nil, err
		}
		row, err := json.Marshal(e)
		if err != nil {
			return nil, err
		}
		last = head{e.Seq, e.Hash}
		ops = append(ops, state.Op{Table: entryTable, Key: key(e.Seq), Value: row, Version: state.Absent})
	}
	next, err := json.Marshal(last)
	if err != nil {
		return nil, err
	}
	return append(ops, state.Op{Table: headTable, Key: headKey, Value: next, Version: version}), nil
}

// Verify reads the whole log and tells the first entry that was changed, is missing or was cut off at the end.
func (l Log) Verify(ctx context.Context) error {
	last, _, err := l.head(ctx)
	if err != nil {
		return err
	}
	var prev head
	for prev.Seq < last.Seq {
		items, err := l.Store.List(ctx, entryTable, "", key(prev.Seq), 500)
		if err != nil {
			return fmt.Errorf("read audit: %w", err)
		}
		if len(items) == 0 {
			return fmt.Errorf("audit ends at entry %d, want %d", prev.Seq, last.Seq)
		}
		for _, item := range items {
			if prev, err = follow(prev, item.Value); err != nil {
				return err
			}
		}
	}
	if prev != last {
		return fmt.Errorf("audit entry %d is not the one that was written last", last.Seq)
	}
	return nil
}

// follow checks that an entry comes right after another.
func follow(prev head, row []byte) (head, error) {
	var e Entry
	if err := json.Unmarshal(row, &e); err != nil {
		return prev, fmt.Errorf("read audit entry after %d: %w", prev.Seq, err)
	}
	if e.Seq != prev.Seq+1 {
		return prev, fmt.Errorf("audit entry %d is missing", prev.Seq+1)
	}
	hash, err := e.hash()
	if err != nil {
		return prev, err
	}
	if e.Prev != prev.Hash || e.Hash != hash {
		return prev, fmt.Errorf("audit entry %d was changed", e.Seq)
	}
	return head{e.Seq, e.Hash}, nil
}

// History lists the newest entries, at most limit, that speak of a name: a host name, a service, a whole key. Oldest first.
func (l Log) History(ctx context.Context, name string, limit int) ([]Entry, error) {
	var found []Entry
	for after := int64(0); ; {
		entries, err := l.Entries(ctx, after, 500)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.names(name) {
				found = append(found, e)
			}
			after = e.Seq
		}
		found = found[max(0, len(found)-limit):]
		if len(entries) < 500 {
			return found, nil
		}
	}
}

// names tells whether an entry speaks of a name, as a word of its own.
func (e Entry) names(name string) bool {
	return strings.Contains(" "+strings.ReplaceAll(e.What, ",", " ")+" ", " "+name+" ")
}

// Entries lists up to limit entries after a sequence number, oldest first.
func (l Log) Entries(ctx context.Context, after int64, limit int) ([]Entry, error) {
	items, err := l.Store.List(ctx, entryTable, "", key(after), limit)
	if err != nil {
		return nil, fmt.Errorf("read audit: %w", err)
	}
	entries := make([]Entry, len(items))
	for i, item := range items {
		if err := json.Unmarshal(item.Value, &entries[i]); err != nil {
			return nil, fmt.Errorf("read audit entry %s: %w", item.Key, err)
		}
	}
	return entries, nil
}

func (l Log) head(ctx context.Context) (last head, version int64, err error) {
	item, err := l.Store.Get(ctx, headTable, headKey)
	if errors.Is(err, state.ErrNotFound) {
		return head{}, state.Absent, nil
	}
	if err != nil {
		return head{}, 0, fmt.Errorf("read audit: %w", err)
	}
	return last, item.Version, json.Unmarshal(item.Value, &last)
}

// hash is a SHA-256 over the entry as JSON, without its own hash.
func (e Entry) hash() (string, error) {
	e.Hash = ""
	data, err := json.Marshal(e)
	if err != nil {
		return "", fmt.Errorf("hash audit entry: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func key(seq int64) string { return fmt.Sprintf("%019d", seq) }
