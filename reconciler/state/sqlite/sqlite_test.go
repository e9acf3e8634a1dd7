package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/edgewright/edgewright/fixtures/storetest"
	"github.com/edgewright/edgewright/reconciler/state"
	"github.com/edgewright/edgewright/reconciler/state/sqlite"
)

func open(t *testing.T, dir string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) state.Store { return open(t, t.TempDir()) })
}

func TestRowsOutliveTheStore(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Write(t.Context(), state.Op{Table: "t", Key: "k", Value: []byte("v"), Version: state.Absent}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	item, err := open(t, dir).Get(t.Context(), "t", "k")
	if err != nil || string(item.Value) != "v" || item.Version != 1 {
		t.Fatalf("after opening again: %+v, %v", item, err)
	}
}

// TestOlderDaemonsKeepTheFolder holds that a daemon which wants the folder for itself is neither joined nor let in.
func TestOlderDaemonsKeepTheFolder(t *testing.T) {
	dir := t.TempDir()
	older, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	exclusive := func() error { return syscall.Flock(int(older.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := exclusive(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "in use by process") {
		t.Fatalf("open: %v", err)
	}
	if err := syscall.Flock(int(older.Fd()), syscall.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	open(t, dir)
	if err := exclusive(); err == nil {
		t.Fatal("an older daemon can have the folder for itself, and others use it")
	}
}

// TestProcessesShareTheFolder holds that two processes see what the other writes, and that one of many that race wins.
func TestProcessesShareTheFolder(t *testing.T) {
	dir := t.TempDir()
	stores := []*sqlite.Store{open(t, dir), open(t, dir)}
	var both sync.WaitGroup
	var won atomic.Int64
	for _, s := range stores {
		both.Go(func() {
			for version := range int64(100) {
				switch err := s.Write(t.Context(), state.Op{Table: "t", Key: "k", Value: []byte("v"), Version: version}); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, state.ErrConflict):
					t.Error(err)
				}
			}
		})
	}
	both.Wait()
	item, err := stores[0].Get(t.Context(), "t", "k")
	if err != nil || item.Version != won.Load() {
		t.Fatalf("the row is at version %d (%v) after %d writes", item.Version, err, won.Load())
	}
}

func TestNewerFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "newer edgewright") {
		t.Fatalf("open: %v", err)
	}
}

func TestCorruptFileIsAClearError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "state.db"), []byte(strings.Repeat("not a database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Fatalf("open: %v", err)
	}
}

func TestOlderFileIsBroughtUp(t *testing.T) {
	dir := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(`CREATE TABLE item (tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (tbl, key)) WITHOUT ROWID;
		INSERT INTO item VALUES ('t', 'k', 'v', 7), ('t', 'l', 'w', 8); PRAGMA user_version = 1`)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s := open(t, dir)
		items, err := s.List(t.Context(), "t", "", "", 10)
		if err != nil || len(items) != 2 || string(items[0].Value) != "v" || items[0].Version != 7 || items[1].Version != 8 {
			t.Errorf("the rows are %+v, %v", items, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// A large row costs nobody who only comes past it.
func TestLargeNeighbour(t *testing.T) {
	write := func(large int) time.Duration {
		s := open(t, t.TempDir())
		if err := s.Write(t.Context(), state.Op{Table: "release", Key: "edge", Value: make([]byte, large)}); err != nil {
			t.Fatal(err)
		}
		var ops []state.Op
		for i := range 300 {
			ops = append(ops, state.Op{Table: "good", Key: fmt.Sprintf("service/%03d", i), Value: make([]byte, 6600)})
		}
		began := time.Now()
		if err := s.Write(t.Context(), ops...); err != nil {
			t.Fatal(err)
		}
		return time.Since(began)
	}
	alone, beside := write(100), write(8<<20)
	if beside > 10*alone+500*time.Millisecond {
		t.Errorf("300 rows took %v beside a large one, %v without", beside, alone)
	}
}
