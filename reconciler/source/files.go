package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// File is a file of CUE. Hash is its blob's.
type File struct {
	Path  string
	Data  []byte
	Hash  string
	Unfit string // why it cannot be read as a file; then Data is empty
}

// TooLargeError says that a tree, or one file of it, holds more than the bounds allow.
type TooLargeError struct{ Path, Why string }

func (e *TooLargeError) Error() string { return fmt.Sprintf("%s: %s", e.Path, e.Why) }

// maxDepth is how deep below the root one looks for files.
const maxDepth = 9

// entry is a file before its bytes are read.
type entry struct {
	path  string
	hash  plumbing.Hash
	name  string // of the hash
	unfit string
}

// listing is a folder at its place: where it lies decides what is looked at.
type listing struct {
	hash  plumbing.Hash
	where string
}

// mostListed is how many entries of folders are remembered.
const mostListed = 250_000

// Files are all .cue files at a commit, by path. Of cue.mod only module.cue counts, of folders whose names begin with a dot nothing.
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
	listed, err := m.listTree(c.TreeHash, "", 0)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(slices.Clone(listed), func(e entry) bool {
		return strings.HasPrefix(e.path, "cue.mod/") && e.path != "cue.mod/module.cue"
	})
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.path, b.path) })
	if len(all) > m.MaxFiles {
		return nil, &TooLargeError{"the repository", fmt.Sprintf("it holds %d files of CUE, at most %d are read", len(all), m.MaxFiles)}
	}
	return all, nil
}

func (m *Mirror) listTree(hash plumbing.Hash, where string, depth int) ([]entry, error) {
	if known, ok := m.lists[listing{hash, where}]; ok {
		return known, nil
	}
	tree, err := m.repository.TreeObject(hash)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", where, err)
	}
	out := []entry{}
	for _, e := range tree.Entries {
		at := path.Join(where, e.Name)
		add := func(unfit string) { out = append(out, entry{at, e.Hash, e.Hash.String(), unfit}) }
		switch {
		case strings.HasPrefix(e.Name, ".") || e.Mode == filemode.Submodule:
		case e.Mode == filemode.Dir && depth == maxDepth:
			add(fmt.Sprintf("folders nest deeper than %d", maxDepth))
		case e.Mode == filemode.Dir:
			below, err := m.listTree(e.Hash, at, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, below...)
		case e.Mode == filemode.Symlink && (path.Ext(e.Name) == ".cue" || depth == 0 && (e.Name == "services" || e.Name == "platform")):
			add("it is a symbolic link, which is not followed")
		case path.Ext(e.Name) == ".cue":
			add("")
		case m.Unread != nil && m.Unread(at) != "":
			add(m.Unread(at))
		}
	}
	if m.listed += len(out) + 1; m.listed > mostListed {
		clear(m.lists)
		m.listed = len(out) + 1
	}
	m.lists[listing{hash, where}] = out
	return out, nil
}

// read brings the bytes of declarations.
func (m *Mirror) read(ctx context.Context, entries []entry) ([]File, error) {
	files := make([]File, len(entries))
	var total int64
	for i, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if e.unfit != "" {
			files[i] = File{Path: e.path, Hash: e.name, Unfit: e.unfit}
			continue
		}
		data, err := m.blob(e)
		var large *TooLargeError
		if errors.As(err, &large) {
			files[i] = File{Path: e.path, Hash: e.name, Unfit: large.Why}
			continue
		}
		if err != nil {
			return nil, err
		}
		if total += int64(len(data)); total > m.MaxBytes {
			return nil, &TooLargeError{"the repository", fmt.Sprintf("its files of CUE are larger than %d MiB together", m.MaxBytes>>20)}
		}
		files[i] = File{Path: e.path, Data: data, Hash: e.name}
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
		return nil, &TooLargeError{e.path, fmt.Sprintf("it has %d bytes, a file of CUE has at most %d", b.Size, m.MaxFileBytes)}
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
