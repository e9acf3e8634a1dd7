// Package corpus holds declarations that were right when they were written: what has been taken once is taken as long as the schema is
// v1. A folder is a repository; it is added to, and what is in it is never changed.
package corpus

import (
	"embed"
	"io/fs"
)

//go:embed first every
var folders embed.FS

// Folders are the repositories by name: first is of the first schema, every uses every field that there is.
func Folders() map[string]map[string][]byte {
	out := map[string]map[string][]byte{}
	entries, err := folders.ReadDir(".")
	if err != nil {
		panic(err) // it is embedded
	}
	for _, e := range entries {
		out[e.Name()] = files(e.Name())
	}
	return out
}

func files(folder string) map[string][]byte {
	out := map[string][]byte{}
	root, err := fs.Sub(folders, folder)
	if err == nil {
		err = fs.WalkDir(root, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			out[path], err = fs.ReadFile(root, path)
			return err
		})
	}
	if err != nil {
		panic(err)
	}
	return out
}
