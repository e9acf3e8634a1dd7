package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// processes is a folder with a file for each daemon of a state folder, locked for as long as the daemon lives. The system lets go of the lock
// however a process ends, so that whoever comes next on this machine need not wait for one that was killed.
type processes string

// enter makes the file of this process, and a name that no other ever has.
func (p processes) enter() (name string, file *os.File, err error) {
	if err := os.MkdirAll(string(p), 0o700); err != nil {
		return "", nil, fmt.Errorf("make folder of processes: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	name = fmt.Sprintf("%s.%d.%s", strings.ReplaceAll(host, string(filepath.Separator), "_"), os.Getpid(), hex.EncodeToString(random[:]))
	if file, err = os.OpenFile(filepath.Join(string(p), name), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return "", nil, fmt.Errorf("enter process: %w", err)
	}
	if err := lock(file); err != nil {
		return "", nil, errors.Join(fmt.Errorf("enter process %s: %w", name, err), file.Close())
	}
	return name, file, nil
}

// leave removes the file of this process.
func (p processes) leave(file *os.File) error {
	return errors.Join(os.Remove(file.Name()), file.Close())
}

// forget removes the files of processes that have ended.
func (p processes) forget() {
	entries, err := os.ReadDir(string(p))
	if err != nil {
		return // they are in nobody's way
	}
	for _, e := range entries {
		if p.ended(e.Name()) {
			_ = os.Remove(filepath.Join(string(p), e.Name()))
		}
	}
}

// ended tells whether a process is known to have ended. Of one on another machine nothing is known.
func (p processes) ended(name string) bool {
	if name != filepath.Base(name) {
		return false
	}
	file, err := os.OpenFile(filepath.Join(string(p), name), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer file.Close()
	return lock(file) == nil
}

func lock(file *os.File) error { return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
