// Package shelf keeps what can be computed again, as files in a folder: losing it costs time only.
//
// It is no store: what must not be lost is in reconciler/state.
package shelf

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"
)

// Shelf is a folder of files by key. It may be used by many goroutines, and by processes that were started by one person, at a time.
type Shelf struct {
	dir string
	log *slog.Logger
}

const (
	unused  = 30 * 24 * time.Hour // how long what nobody asks for is kept
	refresh = 24 * time.Hour      // how old the time of the last use may be
)

// Open makes the folder, and removes from it what was not used for 30 days before now.
func Open(dir string, now time.Time, log *slog.Logger) (*Shelf, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make shelf: %w", err)
	}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if info, err := d.Info(); err == nil && now.Sub(info.ModTime()) > unused {
			return os.Remove(file)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("clear shelf: %w", err)
	}
	return &Shelf{dir: dir, log: log}, nil
}

// Get answers what was put under a key. A file that is not whole is as one that is not there.
func (s *Shelf) Get(key string) ([]byte, bool) {
	file := s.file(key)
	data, err := os.ReadFile(file)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("shelf", "file", file, "error", err)
		}
		return nil, false
	}
	if len(data) < sha256.Size || sha256.Sum256(data[sha256.Size:]) != [sha256.Size]byte(data[:sha256.Size]) {
		s.log.Warn("shelf", "file", file, "error", "it is damaged and is made again")
		return nil, false
	}
	if info, err := os.Stat(file); err == nil && time.Since(info.ModTime()) > refresh {
		_ = os.Chtimes(file, time.Time{}, time.Now()) // at worst it is made again
	}
	return data[sha256.Size:], true
}

// Put keeps data under a key: lower-case hexadecimal digits, at least three. That it cannot be kept is logged.
func (s *Shelf) Put(key string, data []byte) {
	if err := s.put(s.file(key), data); err != nil {
		s.log.Warn("shelf", "key", key, "error", err)
	}
}

func (s *Shelf) put(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "new-")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	_, err = temporary.Write(append(sum[:], data...))
	if err = errors.Join(err, temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

func (s *Shelf) file(key string) string { return filepath.Join(s.dir, key[:2], key[2:]) }
