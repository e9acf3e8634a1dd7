package source

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// File is a declaration. Hash is its blob's.
type File struct {
	Path string
	Data []byte
	Hash string
}

// TooLargeError says that a tree holds more than the bounds allow.
type TooLargeError struct{ Path, Why string }

func (e *TooLargeError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Why) }

// UnfitError says that a tree holds something that is no file where declarations are.
type UnfitError struct{ Path, Why string }

func (e *UnfitError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Why) }

// roots are the folders that hold declarations, and maxDepth is how deep below them one looks.
var roots = []string{"platform", "services"}

const maxDepth = 8

// entry is a declaration before its bytes are read. Its path is relative to the tree that was listed.
type entry struct {
	path string
	hash plumbing.Hash
}

// Files are the declarations at a commit, by path: all .cue files below services and platform.
func (m *Mirror) Files(ctx context.Context, commit string) ([]File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.repository.CommitObject(plumbing.NewHash(commit))
	if err != nil {
		return nil, fmt.Errorf("read commit %s: %w", commit, err)
	}
	entries, err := m.list(c)
	if err != nil {
		return nil, err
	}
	return m.read(ctx, entries)
}

// list is the declarations of a commit, sorted by path. Folders that were listed before are not read again.
func (m *Mirror) list(c *object.Commit) ([]entry, error) {
	root, err := c.Tree()
	if err != nil {
		return nil, fmt.Errorf("read tree of commit %s: %w", c.Hash, err)
	}
	var all []entry
	for _, e := range root.Entries {
		if e.Mode != filemode.Dir || !slices.Contains(roots, e.Name) {
			continue
		}
		below, err := m.listTree(e.Hash, e.Name, 1)
		if err != nil {
			return nil, err
		}
		all = appendBelow(all, e.Name, below)
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	if len(all) > m.MaxFiles {
		return nil, &TooLargeError{"the repository", fmt.Sprintf("it holds %d declarations, at most %d are read", len(all), m.MaxFiles)}
	}
	return all, nil
}

func (m *Mirror) listTree(hash plumbing.Hash, where string, depth int) ([]entry, error) {
	if known, ok := m.lists[hash]; ok {
		return known, nil
	}
	if depth > maxDepth {
		return nil, &UnfitError{where, fmt.Sprintf("folders nest deeper than %d", maxDepth)}
	}
	tree, err := m.repository.TreeObject(hash)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", where, err)
	}
	out := []entry{}
	for _, e := range tree.Entries {
		at := path.Join(where, e.Name)
		switch {
		case e.Mode == filemode.Dir:
			below, err := m.listTree(e.Hash, at, depth+1)
			if err != nil {
				return nil, err
			}
			out = appendBelow(out, e.Name, below)
		case e.Mode == filemode.Submodule:
			return nil, &UnfitError{at, "it is a submodule; declarations are plain files"}
		case path.Ext(e.Name) != ".cue":
		case e.Mode == filemode.Symlink:
			return nil, &UnfitError{at, "it is a symbolic link; declarations are plain files"}
		default:
			out = append(out, entry{e.Name, e.Hash})
		}
	}
	if len(m.lists) > 10_000 {
		clear(m.lists)
	}
	m.lists[hash] = out
	return out, nil
}

func appendBelow(all []entry, folder string, below []entry) []entry {
	for _, e := range below {
		all = append(all, entry{folder + "/" + e.path, e.hash})
	}
	return all
}

// read brings the bytes of declarations.
func (m *Mirror) read(ctx context.Context, entries []entry) ([]File, error) {
	files := make([]File, len(entries))
	var total int64
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		data, err := m.blob(e)
		if err != nil {
			return nil, err
		}
		if total += int64(len(data)); total > m.MaxBytes {
			return nil, &TooLargeError{"the repository", fmt.Sprintf("its declarations are larger than %d MiB together", m.MaxBytes>>20)}
		}
		files[i] = File{Path: e.path, Data: data, Hash: e.hash.String()}
	}
	if len(m.blobs) > 2*len(files)+2000 { // what other commits had
		kept := make(map[plumbing.Hash][]byte, len(entries))
		for i, e := range entries {
			kept[e.hash] = files[i].Data
		}
		m.blobs = kept
	}
	return files, nil
}

func (m *Mirror) blob(e entry) ([]byte, error) {
	if data, ok := m.blobs[e.hash]; ok {
		return data, nil
	}
	b, err := m.repository.BlobObject(e.hash)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.path, err)
	}
	if b.Size > m.MaxFileBytes {
		return nil, &TooLargeError{e.path, fmt.Sprintf("it has %d bytes, a declaration has at most %d", b.Size, m.MaxFileBytes)}
	}
	r, err := b.Reader()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.path, err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, m.MaxFileBytes))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", e.path, err)
	}
	m.blobs[e.hash] = data
	return data, nil
}
