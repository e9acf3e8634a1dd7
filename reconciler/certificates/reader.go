package certificates

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	maxFile  = 256 << 10       // bytes of one file: a chain of ten certificates is a tenth of it
	patience = 5 * time.Second // with a file system that does not answer
)

// content is what a file held, or why it could not be read.
type content struct {
	path string
	data []byte
	mode fs.FileMode
	err  error
}

// reader reads files side by side. A file system that does not answer costs those who wait for it no more than their patience, and no more
// than one read of each file is left behind.
type reader struct {
	open     func(path string) content // nil: readFile
	patience time.Duration             // zero: patience

	turn   sync.Mutex // one read at a time
	mu     sync.Mutex
	behind map[string]bool // files whose read has not come back
}

// read is the content of each file, by path.
func (r *reader) read(paths []string) map[string]content {
	r.turn.Lock()
	defer r.turn.Unlock()
	slices.Sort(paths)
	paths = slices.Compact(paths)
	out, results, waiting := map[string]content{}, make(chan content, len(paths)), 0
	for _, path := range paths {
		out[path] = content{path: path, err: fmt.Errorf("%s: the file system does not answer", path)}
		if r.begin(path) {
			waiting++
			go func() {
				c := r.one(path)
				r.end(path)
				results <- c
			}()
		}
	}
	late := time.NewTimer(cmp.Or(r.patience, patience))
	defer late.Stop()
	for ; waiting > 0; waiting-- {
		select {
		case c := <-results:
			out[c.path] = c
		case <-late.C:
			return out
		}
	}
	return out
}

func (r *reader) one(path string) content {
	if r.open != nil {
		return r.open(path)
	}
	return readFile(path)
}

func (r *reader) begin(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.behind[path] {
		return false
	}
	if r.behind == nil {
		r.behind = map[string]bool{}
	}
	r.behind[path] = true
	return true
}

func (r *reader) end(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.behind, path)
}

// readFile reads a regular file that is not too large. A pipe does not make it wait.
func readFile(path string) content {
	c := content{path: path}
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		c.err = err
		return c
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		c.err = err
		return c
	}
	if !info.Mode().IsRegular() {
		c.err = fmt.Errorf("%s is no file", path)
		return c
	}
	c.mode = info.Mode()
	c.data, c.err = io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case c.err != nil:
		c.err = fmt.Errorf("read %s: %w", path, c.err)
	case len(c.data) > maxFile:
		c.data, c.err = nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return c
}
