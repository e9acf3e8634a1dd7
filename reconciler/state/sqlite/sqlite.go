// Package sqlite keeps the state in one SQLite file in a folder: the default, with nothing to set up. Several
// processes of one machine may have it open.
//
// It is not for more than one machine.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	_ "modernc.org/sqlite" // the driver

	"github.com/edgewright/edgewright/reconciler/state"
)

// schemaVersion is written into the file; a newer one is refused.
const schemaVersion = 2

// Store is a state.Store in a file.
type Store struct {
	db   *sql.DB
	lock *os.File
}

// Open opens or makes the state in a folder.
func Open(ctx context.Context, dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{lock: lock}
	if err := s.open(ctx, filepath.Join(dir, "state.db")); err != nil {
		return nil, errors.Join(fmt.Errorf("open state in %s: %w", dir, err), s.Close())
	}
	return s, nil
}

// lockFolder keeps daemons away that do not know of the lease, and want the folder for themselves.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock state folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		holder := make([]byte, 20)
		n, _ := f.Read(holder)
		return nil, errors.Join(fmt.Errorf("state folder %s is in use by process %s, an older edgewright that shares it with nobody: stop it", dir, holder[:n]), f.Close())
	}
	return f, nil
}

func (s *Store) open(ctx context.Context, file string) error {
	q := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", "file:"+file+"?"+q.Encode())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	s.db = db
	return s.migrate(ctx)
}

// migrate makes the table, or brings it up to this version. In version 1 the values were in the tree of the keys: whoever came past a
// release of some megabytes on the way to his row read all of it.
func (s *Store) migrate(ctx context.Context) error {
	tx, err := s.db.BeginTx(ctx, nil) // of several processes, one does it
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // of what was not committed
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	const table = "CREATE TABLE item (tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (tbl, key));"
	statements := table
	switch {
	case version > schemaVersion:
		return fmt.Errorf("it was written by a newer edgewright (version %d, this one knows %d): use that one, or another folder", version, schemaVersion)
	case version == schemaVersion:
		return nil
	case version == 1:
		statements = "ALTER TABLE item RENAME TO item1;" + table + "INSERT INTO item SELECT tbl, key, value, version FROM item1; DROP TABLE item1;"
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf("%s PRAGMA user_version = %d", statements, schemaVersion)); err != nil {
		return fmt.Errorf("bring it from version %d to %d: %w", version, schemaVersion, err)
	}
	return tx.Commit()
}

// Close closes the file and lets go of the folder.
func (s *Store) Close() error {
	var err error
	if s.db != nil {
		err = s.db.Close()
	}
	return errors.Join(err, s.lock.Close())
}

// Get implements state.Store.
func (s *Store) Get(ctx context.Context, table, key string) (state.Item, error) {
	item := state.Item{Table: table, Key: key}
	err := s.db.QueryRowContext(ctx, "SELECT value, version FROM item WHERE tbl = ? AND key = ?", table, key).Scan(&item.Value, &item.Version)
	if errors.Is(err, sql.ErrNoRows) {
		return state.Item{}, fmt.Errorf("%s %s: %w", table, key, state.ErrNotFound)
	}
	return item, err
}

// Write implements state.Store.
func (s *Store) Write(ctx context.Context, ops ...state.Op) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for _, op := range ops {
		if err := apply(ctx, tx, op); err != nil {
			return errors.Join(fmt.Errorf("write %s %s: %w", op.Table, op.Key, err), tx.Rollback())
		}
	}
	return tx.Commit()
}

func apply(ctx context.Context, tx *sql.Tx, op state.Op) error {
	var have int64
	err := tx.QueryRowContext(ctx, "SELECT version FROM item WHERE tbl = ? AND key = ?", op.Table, op.Key).Scan(&have)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if op.Version != state.Any && op.Version != have {
		return fmt.Errorf("version %d, want %d: %w", have, op.Version, state.ErrConflict)
	}
	if op.Check {
		return nil
	}
	if op.Value == nil {
		_, err = tx.ExecContext(ctx, "DELETE FROM item WHERE tbl = ? AND key = ?", op.Table, op.Key)
		return err
	}
	_, err = tx.ExecContext(ctx, "INSERT OR REPLACE INTO item (tbl, key, value, version) VALUES (?, ?, ?, ?)", op.Table, op.Key, op.Value, have+1)
	return err
}

// List implements state.Store.
func (s *Store) List(ctx context.Context, table, prefix, after string, limit int) ([]state.Item, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT key, value, version FROM item WHERE tbl = ? AND key >= ? AND key > ? ORDER BY key LIMIT ?", table, prefix, after, limit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var items []state.Item
	for rows.Next() {
		item := state.Item{Table: table}
		if err := rows.Scan(&item.Key, &item.Value, &item.Version); err != nil {
			return nil, err
		}
		if !strings.HasPrefix(item.Key, prefix) {
			break
		}
		items = append(items, item)
	}
	return items, rows.Err()
}
