package source

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/pmezard/go-difflib/difflib"
)

// Merged are the declarations as they would be after merging head into the tip, or the paths that both have changed in the same
// lines: a three-way merge of each file against the newest common ancestor, as git and GitHub do it.
func (m *Mirror) Merged(ctx context.Context, head string) (files []File, conflicts []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ours, err := m.tip()
	if err != nil {
		return nil, nil, err
	}
	theirs, err := m.repository.CommitObject(plumbing.NewHash(head))
	if err != nil {
		return nil, nil, fmt.Errorf("read commit %s: %w", head, err)
	}
	bases, err := ours.MergeBase(theirs)
	if err != nil {
		return nil, nil, fmt.Errorf("find common ancestor of %s and %s: %w", ours.Hash, head, err)
	}
	three := make([]map[string]File, 3) // base, ours, theirs
	for i, c := range []*object.Commit{first(bases), ours, theirs} {
		if three[i], err = m.byPath(ctx, c); err != nil {
			return nil, nil, err
		}
	}
	return mergeTrees(three[0], three[1], three[2])
}

func first(commits []*object.Commit) *object.Commit {
	if len(commits) == 0 {
		return nil
	}
	return commits[0]
}

func (m *Mirror) byPath(ctx context.Context, c *object.Commit) (map[string]File, error) {
	out := map[string]File{}
	if c == nil {
		return out, nil
	}
	entries, err := m.list(c)
	if err != nil {
		return nil, err
	}
	files, err := m.read(ctx, entries)
	for _, f := range files {
		out[f.Path] = f
	}
	return out, err
}

func mergeTrees(base, ours, theirs map[string]File) (files []File, conflicts []string, err error) {
	paths := map[string]bool{}
	for _, side := range []map[string]File{ours, theirs} {
		for p := range side {
			paths[p] = true
		}
	}
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		b, o, t := base[p], ours[p], theirs[p]
		merged, clean := o, true
		switch {
		case o.Hash == t.Hash || b.Hash == t.Hash:
		case b.Hash == o.Hash:
			merged = t
		case o.Hash == "" || t.Hash == "": // changed here, deleted there
			clean = false
		case b.Unfit+o.Unfit+t.Unfit != "":
			clean = false
		default:
			merged.Data, clean = mergeLines(b.Data, o.Data, t.Data)
			merged.Hash = blobHash(merged.Data)
		}
		switch {
		case !clean:
			conflicts = append(conflicts, p)
		case merged.Hash != "":
			files = append(files, merged)
		}
	}
	if len(conflicts) > 0 {
		return nil, conflicts, nil
	}
	return files, nil, nil
}

func blobHash(data []byte) string {
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00%s", len(data), data)
	return hex.EncodeToString(h.Sum(nil))
}

// region is a run of lines of the base that both sides have kept, with where they have it.
type region struct{ base, ours, theirs, length int }

// mergeLines merges by lines: between the lines that all three share, what only one side changed is taken, and what both changed
// alike. Anything else is a conflict.
func mergeLines(base, ours, theirs []byte) ([]byte, bool) {
	b, o, t := lines(base), lines(ours), lines(theirs)
	var out []string
	at := region{}
	for _, next := range shared(b, o, t) {
		mine, other, was := o[at.ours:next.ours], t[at.theirs:next.theirs], b[at.base:next.base]
		switch {
		case slices.Equal(mine, other), slices.Equal(other, was):
			out = append(out, mine...)
		case slices.Equal(mine, was):
			out = append(out, other...)
		default:
			return nil, false
		}
		out = append(out, b[next.base:next.base+next.length]...)
		at = region{next.base + next.length, next.ours + next.length, next.theirs + next.length, 0}
	}
	return []byte(strings.Join(out, "")), true
}

// shared are the runs of lines that base, ours and theirs have in common, in order; the last one is empty, at their ends.
func shared(base, ours, theirs []string) []region {
	a := difflib.NewMatcher(base, ours).GetMatchingBlocks()
	b := difflib.NewMatcher(base, theirs).GetMatchingBlocks()
	var out []region
	for i, j := 0, 0; i < len(a) && j < len(b); {
		from, to := max(a[i].A, b[j].A), min(a[i].A+a[i].Size, b[j].A+b[j].Size)
		if from < to {
			out = append(out, region{from, a[i].B + from - a[i].A, b[j].B + from - b[j].A, to - from})
		}
		if a[i].A+a[i].Size < b[j].A+b[j].Size {
			i++
		} else {
			j++
		}
	}
	return append(out, region{len(base), len(ours), len(theirs), 0})
}

// lines keeps the line ends.
func lines(data []byte) []string { return strings.SplitAfter(string(data), "\n") }
