package reconciler

import (
	"context"
	"errors"

	"github.com/edgewright/edgewright/reconciler/forge"
)

// obey carries out what people with the right to merge ask for in comments on merged pulls that wait: apply DIGEST. A command is
// looked at once; one whose digest is not what waits does nothing, whoever wrote it.
func (r *Reconciler) obey(ctx context.Context, seen map[int64]bool) {
	for _, p := range r.View().Merged {
		if p.Verdict != string(forge.Waiting) {
			continue
		}
		commands, err := r.Forge.Commands(ctx, p.Number)
		if err != nil {
			r.Log.Warn("commands cannot be read", "pull", p.Number, "error", err)
			continue
		}
		for _, c := range commands {
			if seen[c.CommentID] {
				continue
			}
			seen[c.CommentID] = true
			r.obeyOne(ctx, p.Number, c)
		}
	}
}

func (r *Reconciler) obeyOne(ctx context.Context, pull int, c forge.Command) {
	if !c.MayMerge() {
		r.Log.Warn("command by somebody who may not merge", "pull", pull, "author", c.Author, "permission", c.Permission)
		r.send(ctx, commandRefused{pull, "apply by " + c.Author + " was refused: it needs the right to merge"})
		return
	}
	_, err := r.Apply(ctx, Apply{Digest: c.Digest, ConfirmDeletes: c.ConfirmDeletes, Identity: c.Author + ", in a comment on the pull"})
	var refused *Refused
	switch {
	case errors.As(err, &refused):
		r.Log.Info("command refused", "pull", pull, "author", c.Author, "why", refused.Why)
		r.send(ctx, commandRefused{pull, "apply by " + c.Author + " was refused: " + refused.Why})
	case err != nil:
		r.Log.Warn("command failed", "pull", pull, "author", c.Author, "error", err)
	}
}
