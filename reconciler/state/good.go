package state

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/edgewright/edgewright/schema"
)

// LastGood is the declarations that took effect last, a row each, so that a later problem holds a service at them, also after a
// restart.
type LastGood struct{ Store Store }

const (
	goodTable   = "good"
	platformKey = "platform"
	serviceKey  = "service/"
	commitKey   = "commit"
)

// declaration is a service or the platform with the places where it was written.
type declaration[T any] struct {
	Declared T             `json:"declared"`
	Source   schema.Source `json:"source"`
}

// Replace makes the edge of a commit the last good one. Only rows that differ are written, all of them at once. Whoever knows which edge is
// stored names it: then only what differs from it is looked at.
func (v LastGood) Replace(ctx context.Context, edge schema.Edge, commit string, stored *schema.Edge) error {
	if stored != nil && stored.Platform.Revision == edge.Platform.Revision && edge.Platform.Revision != "" {
		return v.change(ctx, *stored, edge, commit)
	}
	rows, err := rowsOf(edge)
	if err != nil {
		return err
	}
	if rows[commitKey], err = json.Marshal(commit); err != nil {
		return err
	}
	var ops []Op
	err = all(ctx, v.Store, goodTable, func(item Item) error {
		row, still := rows[item.Key]
		if !still || !bytes.Equal(row, item.Value) {
			ops = append(ops, Op{Table: goodTable, Key: item.Key, Value: row, Version: item.Version})
		}
		delete(rows, item.Key)
		return nil
	})
	if err != nil {
		return err
	}
	for key, row := range rows {
		ops = append(ops, Op{Table: goodTable, Key: key, Value: row, Version: Absent})
	}
	slices.SortFunc(ops, func(a, b Op) int { return cmp.Compare(a.Key, b.Key) })
	return v.Store.Write(ctx, ops...)
}

// change writes the services in which two edges of one platform differ.
func (v LastGood) change(ctx context.Context, from, to schema.Edge, commit string) error {
	op, err := put(goodTable, commitKey, commit, Any)
	if err != nil {
		return err
	}
	ops := []Op{op}
	for _, s := range to.Services {
		if old, is := from.Service(s.ID); is && old.Revision == s.Revision && s.Revision != "" {
			continue
		}
		op, err := put(goodTable, serviceKey+string(s.ID), declaration[schema.Service]{s, s.Source}, Any)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	for _, s := range from.Services {
		if _, still := to.Service(s.ID); !still {
			ops = append(ops, Op{Table: goodTable, Key: serviceKey + string(s.ID), Version: Any})
		}
	}
	return v.Store.Write(ctx, ops...)
}

func rowsOf(edge schema.Edge) (map[string][]byte, error) {
	rows := map[string][]byte{}
	var err error
	if rows[platformKey], err = json.Marshal(declaration[schema.Platform]{edge.Platform, edge.Platform.Source}); err != nil {
		return nil, err
	}
	for _, s := range edge.Services {
		if rows[serviceKey+string(s.ID)], err = json.Marshal(declaration[schema.Service]{s, s.Source}); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// Commit is the hash of the last good edge's commit; empty when there never was one.
func (v LastGood) Commit(ctx context.Context) (commit string, err error) {
	item, err := v.Store.Get(ctx, goodTable, commitKey)
	if errors.Is(err, ErrNotFound) {
		return "", nil
	}
	if err == nil {
		err = json.Unmarshal(item.Value, &commit)
	}
	return commit, err
}

// Read is the last good edge; ok is false when there never was one.
func (v LastGood) Read(ctx context.Context) (edge schema.Edge, ok bool, err error) {
	item, err := v.Store.Get(ctx, goodTable, platformKey)
	if errors.Is(err, ErrNotFound) {
		return edge, false, nil
	}
	if err != nil {
		return edge, false, err
	}
	var platform declaration[schema.Platform]
	if err := json.Unmarshal(item.Value, &platform); err != nil {
		return edge, false, err
	}
	edge.Platform = platform.Declared
	edge.Platform.Source = platform.Source
	err = all(ctx, v.Store, goodTable, func(item Item) error {
		if item.Key == platformKey || item.Key == commitKey {
			return nil
		}
		var s declaration[schema.Service]
		err := json.Unmarshal(item.Value, &s)
		s.Declared.Source = s.Source
		edge.Services = append(edge.Services, s.Declared)
		return err
	})
	slices.SortFunc(edge.Services, func(a, b schema.Service) int { return cmp.Compare(a.ID, b.ID) })
	return edge, err == nil, err
}
