package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// checkout finds the root of the edge-config checkout that a path names: a folder with platform/ in it. A file stands for the checkout that
// it lies in; within is its path there, and empty for a folder. A folder that only lies above or below a root is refused, with its name.
func checkout(path string) (root, within string, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", "", fmt.Errorf("read %s: %w", path, err)
	}
	above, found := rootAbove(path)
	switch {
	case !info.IsDir() && found:
		whole, err := filepath.Abs(path)
		if err != nil {
			return "", "", err
		}
		within, err = filepath.Rel(above, whole)
		return above, filepath.ToSlash(within), err
	case !info.IsDir():
		return "", "", fmt.Errorf("read %s: no folder above it has a platform/: name the root of an edge-config checkout", path)
	case isRoot(path):
		return path, "", nil
	case found:
		return "", "", fmt.Errorf("read %s: this is a part of an edge-config checkout: name its root, %s", path, above)
	}
	if below, _ := filepath.Glob(filepath.Join(path, "*", "platform")); len(below) > 0 {
		return "", "", fmt.Errorf("read %s: there is no platform/ here: name the root of an edge-config checkout, as %s", path, filepath.Dir(below[0]))
	}
	return path, "", nil
}

// isRoot tells whether a folder has platform/ in it, other than services/, in which that is a team.
func isRoot(dir string) bool {
	whole, err := filepath.Abs(dir)
	if err != nil || filepath.Base(whole) == "services" {
		return false
	}
	info, err := os.Stat(filepath.Join(whole, "platform"))
	return err == nil && info.IsDir()
}

// rootAbove is the nearest folder above a path that is a root, as an absolute path.
func rootAbove(path string) (string, bool) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", false
	}
	for dir != filepath.Dir(dir) {
		if dir = filepath.Dir(dir); isRoot(dir) {
			return dir, true
		}
	}
	return "", false
}
