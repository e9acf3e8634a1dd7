package main

import (
	"context"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/source"
	"github.com/edgewright/edgewright/schema/load"
)

// repository gives the reconciler the mirror in its own words.
type repository struct{ mirror *source.Mirror }

func (r repository) Fetch(ctx context.Context) error { return r.mirror.Fetch(ctx) }

func (r repository) Tip() (reconciler.Commit, error) {
	tip, err := r.mirror.Tip()
	return reconciler.Commit(tip), err
}

func (r repository) Files(ctx context.Context, commit string) (reconciler.Tree, error) {
	files, err := r.mirror.Files(ctx, commit)
	if err != nil {
		return reconciler.Tree{}, err
	}
	return treeOf(files), nil
}

func (r repository) Merged(ctx context.Context, head string) (reconciler.Tree, error) {
	files, conflicts, err := r.mirror.Merged(ctx, head)
	switch {
	case err != nil:
		return reconciler.Tree{}, err
	case len(conflicts) > 0:
		return reconciler.Tree{}, &reconciler.Conflict{Files: conflicts}
	}
	return treeOf(files), nil
}

func (r repository) Between(after, upTo string, limit int) ([]reconciler.Commit, error) {
	commits, err := r.mirror.Between(after, upTo, limit)
	out := make([]reconciler.Commit, len(commits))
	for i, c := range commits {
		out[i] = reconciler.Commit(c)
	}
	return out, err
}

func treeOf(files []source.File) reconciler.Tree {
	out := make([]load.File, len(files))
	for i, f := range files {
		out[i] = load.File{Path: f.Path, Data: f.Data}
	}
	return reconciler.TreeOf(out)
}
