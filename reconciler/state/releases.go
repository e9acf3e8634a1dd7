package state

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/reconciler/release"
	"github.com/edgewright/edgewright/schema"
)

// Releases are the fleets' releases. Writing one is publishing it.
type Releases struct{ Store Store }

// Stored is a release and the version of its row.
type Stored struct {
	Release release.Release
	Version int64
	Rows    release.Release // what of it is stored in rows of its own, as Put is to know
}

const (
	releaseTable = "release"
	entryTable   = "release-service" // by fleet and service
	contentTable = "content"
)

// Put writes a release if its row is still at the version that was read (0: none), with whatever else comes with it, and returns the new
// version. Of its services those are written that differ from the release that is stored.
func (v Releases) Put(ctx context.Context, r, stored release.Release, version int64, more ...Op) (int64, error) {
	head := r
	head.Services = nil
	op, err := put(releaseTable, string(r.Fleet), head, version)
	if err != nil {
		return 0, err
	}
	ops := []Op{op}
	for _, id := range r.Differing(stored) {
		op := Op{Table: entryTable, Key: entryKey(r.Fleet, id), Version: Any}
		if e, there := r.Services[id]; there {
			if op, err = put(entryTable, op.Key, e, Any); err != nil {
				return 0, err
			}
		}
		ops = append(ops, op)
	}
	if err := v.Store.Write(ctx, append(ops, more...)...); err != nil {
		return 0, err
	}
	return version + 1, nil
}

func entryKey(fleet schema.FleetID, id schema.ServiceID) string {
	return string(fleet) + "/" + string(id)
}

// All reads every fleet's release. One that was written as a whole, as before services had rows of their own, is read as it is.
func (v Releases) All(ctx context.Context) ([]Stored, error) {
	var out []Stored
	err := all(ctx, v.Store, releaseTable, func(item Item) error {
		s := Stored{Version: item.Version}
		err := json.Unmarshal(item.Value, &s.Release)
		s.Rows = s.Release
		s.Rows.Services = map[schema.ServiceID]release.Entry{}
		out = append(out, s)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = all(ctx, v.Store, entryTable, func(item Item) error {
		fleet, id, _ := strings.Cut(item.Key, "/")
		i := slices.IndexFunc(out, func(s Stored) bool { return string(s.Release.Fleet) == fleet })
		if i < 0 {
			return fmt.Errorf("there is no release of fleet %q", fleet)
		}
		var e release.Entry
		if err := json.Unmarshal(item.Value, &e); err != nil {
			return err
		}
		if out[i].Release.Services == nil {
			out[i].Release.Services = map[schema.ServiceID]release.Entry{}
		}
		out[i].Release.Services[schema.ServiceID(id)] = e
		out[i].Rows.Services[schema.ServiceID(id)] = e
		return nil
	})
	return out, err
}

// Contents keeps what releases speak of, by hash.
type Contents struct{ Store Store }

// Put is the write of content. The same hash is the same content: writing it again changes nothing.
func (Contents) Put(hash string, data []byte) Op {
	return Op{Table: contentTable, Key: hash, Value: data, Version: Any}
}

// Get reads content; ErrNotFound when it is not there.
func (v Contents) Get(ctx context.Context, hash string) ([]byte, error) {
	item, err := v.Store.Get(ctx, contentTable, hash)
	return item.Value, err
}
