package main

import (
	"context"
	"errors"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/source"
	"github.com/edgewright/edgewright/schema/load"
)

// repository gives the reconciler the mirror in its own words. There is one once the daemon leads.
type repository struct{ *daemon }

func (r repository) Fetch(ctx context.Context, told string) error { return r.mirror.Fetch(ctx, told) }

func (r repository) Tip() (reconciler.Commit, error) {
	tip, err := r.mirror.Tip()
	return reconciler.Commit(tip), err
}

func (r repository) Files(ctx context.Context, commit string) (reconciler.Tree, error) {
	files, err := r.mirror.Files(ctx, commit)
	return treeOf(files, err)
}

func (r repository) Merged(ctx context.Context, head string) (reconciler.Tree, error) {
	files, conflicts, err := r.mirror.Merged(ctx, head)
	if err == nil && len(conflicts) > 0 {
		return reconciler.Tree{}, &reconciler.Conflict{Files: conflicts}
	}
	return treeOf(files, err)
}

func (r repository) Between(after, upTo string, limit int) ([]reconciler.Commit, error) {
	commits, err := r.mirror.Between(after, upTo, limit)
	out := make([]reconciler.Commit, len(commits))
	for i, c := range commits {
		out[i] = reconciler.Commit(c)
	}
	return out, err
}

// treeOf is the tree of files. One that is too large to be read is told as a problem, as any other is.
func treeOf(files []source.File, err error) (reconciler.Tree, error) {
	var large *source.TooLargeError
	if errors.As(err, &large) {
		return reconciler.TreeOf([]load.File{{Path: ".", Unfit: large.Why}}), nil
	}
	if err != nil {
		return reconciler.Tree{}, err
	}
	out := make([]load.File, len(files))
	for i, f := range files {
		out[i] = load.File(f)
	}
	return reconciler.TreeOf(out), nil
}
