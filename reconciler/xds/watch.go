package xds

import (
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookEvery is how often it is looked whether a file has changed, at most.
const lookEvery = time.Second

// watched is what files hold. They are read again when one changes; when they are not good then, what they held before stays.
type watched[T any] struct {
	log   *slog.Logger
	now   func() time.Time
	paths []string
	parse func(contents [][]byte) (T, error)

	mu     sync.Mutex // guards what follows
	value  T
	stamp  string
	looked time.Time
}

// watch reads files, which must be good at first.
func watch[T any](log *slog.Logger, now func() time.Time, parse func([][]byte) (T, error), paths ...string) (*watched[T], error) {
	w := &watched[T]{log: log, now: now, paths: paths, parse: parse, looked: now()}
	var err error
	w.stamp = w.stampOf()
	w.value, err = w.read()
	return w, err
}

func (w *watched[T]) get() T {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.now().Sub(w.looked) < lookEvery {
		return w.value
	}
	w.looked = w.now()
	stamp := w.stampOf()
	if stamp == w.stamp {
		return w.value
	}
	w.stamp = stamp
	value, err := w.read()
	if err != nil {
		w.log.Error("file for --xds has changed and is not good: what it held before is used on", "error", err)
		return w.value
	}
	w.log.Info("file for --xds read again", "files", w.paths)
	w.value = value
	return value
}

// stampOf tells files as they are from what they were.
func (w *watched[T]) stampOf() string {
	var stamp string
	for _, path := range w.paths {
		if i, err := os.Stat(path); err != nil {
			stamp += err.Error()
		} else {
			stamp += fmt.Sprint(i.ModTime().UnixNano(), " ", i.Size(), "\n")
		}
	}
	return stamp
}

func (w *watched[T]) read() (none T, err error) {
	var contents [][]byte
	for _, path := range w.paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return none, err // names the file
		}
		contents = append(contents, data)
	}
	value, err := w.parse(contents)
	if err != nil {
		return none, fmt.Errorf("read %s: %w", w.paths[0], err)
	}
	return value, nil
}
