// Package state is what the daemon remembers: a small store with compare-and-set, and typed views over it for contents, inventory,
// journal, plans, releases, approvals and last good declarations.
//
// It decides nothing and is no cache of what can be asked for elsewhere: what it loses, nobody else knows.
package state

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Item is one row. Version counts the writes of the row, from 1.
type Item struct {
	Table   string
	Key     string
	Value   []byte
	Version int64
}

// Versions that an Op may demand instead of a number.
const (
	Absent int64 = 0  // the row must not exist
	Any    int64 = -1 // whatever is there
)

// Op is one write of a batch. A nil Value deletes the row.
type Op struct {
	Table   string
	Key     string
	Value   []byte
	Version int64 // what must be there: Absent, Any, or the version that was read
	Check   bool  // demand the version and leave the row as it is
}

// Store keeps rows. It is safe for use by many goroutines.
type Store interface {
	// Get reads a row; ErrNotFound when there is none.
	Get(ctx context.Context, table, key string) (Item, error)
	// Write does all of the operations or none: ErrConflict when a demanded version is not what is there.
	Write(ctx context.Context, ops ...Op) error
	// List reads up to limit rows of a table whose keys start with prefix and come after a key, in the order of keys.
	List(ctx context.Context, table, prefix, after string, limit int) ([]Item, error)
}

// Errors that callers act on.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("changed by somebody else")
)

const page = 500

// all reads every row of a table, page by page.
func all(ctx context.Context, s Store, table string, each func(Item) error) error {
	after := ""
	for {
		items, err := s.List(ctx, table, "", after, page)
		if err != nil {
			return fmt.Errorf("list %s: %w", table, err)
		}
		for _, item := range items {
			if err := each(item); err != nil {
				return fmt.Errorf("%s %s: %w", table, item.Key, err)
			}
			after = item.Key
		}
		if len(items) < page {
			return nil
		}
	}
}

// read decodes a row; ok is false when there is none.
func read[T any](ctx context.Context, s Store, table, key string) (value T, version int64, ok bool, err error) {
	item, err := s.Get(ctx, table, key)
	if errors.Is(err, ErrNotFound) {
		return value, 0, false, nil
	}
	if err != nil {
		return value, 0, false, err
	}
	if err := json.Unmarshal(item.Value, &value); err != nil {
		return value, 0, false, fmt.Errorf("read %s %s: %w", table, key, err)
	}
	return value, item.Version, true, nil
}

// put is an operation that writes a value as JSON.
func put(table, key string, value any, version int64) (Op, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return Op{}, fmt.Errorf("write %s %s: %w", table, key, err)
	}
	return Op{Table: table, Key: key, Value: data, Version: version}, nil
}

// write writes one value as JSON, whatever was there.
func write(ctx context.Context, s Store, table, key string, value any) error {
	op, err := put(table, key, value, Any)
	if err != nil {
		return err
	}
	return s.Write(ctx, op)
}
