package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/mattn/go-isatty"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

// Output keeps to these rules: the answer goes to stdout and everything else to stderr; the verdict and the counts come last; no
// escape bytes unless stdout is a terminal and NO_COLOR is not set; --json gives the same answer for programs.

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// colour tells whether a writer may get escape bytes.
func colour(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && isatty.IsTerminal(f.Fd())
}

func tellProblems(w io.Writer, problems []schema.Problem) {
	for _, p := range problems {
		fmt.Fprintln(w, schema.Format(p))
	}
}

func tellWarnings(w io.Writer, warnings []schema.Problem) {
	for _, p := range warnings {
		fmt.Fprintln(w, "warning: "+schema.Format(p))
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func folder(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// readFolder reads the .cue files of an edge-config checkout. Links are not followed, because the daemon never does.
func readFolder(dir string) ([]load.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	defer root.Close()
	var files []load.File
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && name != "." {
			return fs.SkipDir
		}
		if why := load.Unread(filepath.ToSlash(name)); why != "" && !d.IsDir() {
			files = append(files, load.File{Path: filepath.ToSlash(name), Unfit: why})
			return nil
		}
		if path.Ext(name) != ".cue" || d.IsDir() {
			return nil
		}
		if !d.Type().IsRegular() {
			files = append(files, load.File{Path: filepath.ToSlash(name), Unfit: "it is a symbolic link or another special file"})
			return nil
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(f, load.MaxBytes+1)) // one byte too many says that it is too large
		files = append(files, load.File{Path: filepath.ToSlash(name), Data: data})
		return errors.Join(err, f.Close())
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", dir, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read %s: no .cue file is there; name the folder of an edge-config checkout", dir)
	}
	return files, nil
}
