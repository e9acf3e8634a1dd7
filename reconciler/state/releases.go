package state

import (
	"context"
	"encoding/json"

	"github.com/edgewright/edgewright/reconciler/release"
)

// Releases are the fleets' releases. Writing one is publishing it.
type Releases struct{ Store Store }

// Stored is a release and the version of its row.
type Stored struct {
	Release release.Release
	Version int64
}

const (
	releaseTable = "release"
	contentTable = "content"
)

// Put writes a release if its row is still at the version that was read (0: none), with whatever else comes with it, and returns the new
// version.
func (v Releases) Put(ctx context.Context, r release.Release, version int64, more ...Op) (int64, error) {
	op, err := put(releaseTable, string(r.Fleet), r, version)
	if err != nil {
		return 0, err
	}
	if err := v.Store.Write(ctx, append([]Op{op}, more...)...); err != nil {
		return 0, err
	}
	return version + 1, nil
}

// All reads every fleet's release.
func (v Releases) All(ctx context.Context) ([]Stored, error) {
	var out []Stored
	err := all(ctx, v.Store, releaseTable, func(item Item) error {
		s := Stored{Version: item.Version}
		err := json.Unmarshal(item.Value, &s.Release)
		out = append(out, s)
		return err
	})
	return out, err
}

// Contents keeps what releases speak of, by hash.
type Contents struct{ Store Store }

// Put writes content. The same hash is the same content: writing it again changes nothing.
func (v Contents) Put(ctx context.Context, hash string, data []byte) error {
	return v.Store.Write(ctx, Op{Table: contentTable, Key: hash, Value: data, Version: Any})
}

// Get reads content; ErrNotFound when it is not there.
func (v Contents) Get(ctx context.Context, hash string) ([]byte, error) {
	item, err := v.Store.Get(ctx, contentTable, hash)
	return item.Value, err
}
