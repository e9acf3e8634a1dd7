package github

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/edgewright/edgewright/reconciler/forge"
)

// slot is what is known to stand at one target, so that posting the same again costs nothing.
type slot struct {
	mu      sync.Mutex
	comment int64  // id; 0: not looked for yet
	said    string // hash of the comment
	sha     string // the commit that run is on
	run     int64
	shown   string // hash of the check
	noted   string // hash of its annotations
}

const mostSlots = 5_000

type slots struct {
	mu    sync.Mutex
	known map[string]*slot
}

// at is the slot of a target. When there are too many, all are forgotten: what stands there is then read again.
func (s *slots) at(to forge.Target) *slot {
	key := fmt.Sprintf("pull %d", to.Pull)
	if to.Pull == 0 || to.CheckOnly {
		key = "commit " + to.SHA
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) >= mostSlots {
		s.known = map[string]*slot{}
	}
	if s.known[key] == nil {
		s.known[key] = &slot{}
	}
	return s.known[key]
}

// Post makes the comment and the check of a target say what the review says: once, in place, and without a request where they do
// already. A pull that has moved on, or was merged before the review of an open one stood there, gives a *forge.MovedError, a forge that wants to be left alone a *LimitedError.
func (c *Client) Post(ctx context.Context, to forge.Target, r forge.Review) error {
	if to.SHA == "" {
		return fmt.Errorf("post review of pull #%d: no commit", to.Pull)
	}
	at := c.slots.at(to)
	at.mu.Lock()
	defer at.mu.Unlock()
	check := r.Check()
	shown := hash(check)
	withComment := to.Pull != 0 && !to.CheckOnly
	body, said := "", ""
	if withComment {
		body = r.Comment()
		said = hash(forge.Steady(body))
	}
	if at.said == said && at.sha == to.SHA && at.shown == shown {
		return nil
	}
	if withComment {
		if err := c.stillOf(ctx, to, r); err != nil {
			return err
		}
	}
	if at.sha != to.SHA {
		at.sha, at.run, at.shown, at.noted = to.SHA, 0, "", ""
	}
	if at.said != said {
		if err := c.putComment(ctx, to, at, body); err != nil {
			return fmt.Errorf("comment on pull #%d: %w", to.Pull, err)
		}
		if r.Commit == "" { // what comes after the merge was not shown before it
			if err := c.stillOf(ctx, to, r); err != nil {
				return err
			}
		}
		at.said = said
	}
	if at.shown != shown {
		if err := c.putCheck(ctx, to, at, check, shown); err != nil {
			return fmt.Errorf("check on commit %s: %w", to.SHA, err)
		}
		at.shown = shown
	}
	return nil
}

// stillOf tells whether a pull still is where a review speaks of it: at its head, and not merged unless the review is of a merged one.
func (c *Client) stillOf(ctx context.Context, to forge.Target, r forge.Review) error {
	head, merged, err := c.head(ctx, to.Pull)
	switch {
	case err != nil:
		return err
	case head != to.SHA || merged && r.Commit == "":
		return &forge.MovedError{Pull: to.Pull, Want: to.SHA, Have: head, Merged: merged}
	}
	return nil
}

// hash is 32 hex digits over the JSON of a value.
func hash(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("hash of %T: %v", v, err)) // strings and numbers only
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
