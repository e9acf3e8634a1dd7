package reconciler

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/schema/load"
)

// Commit is a commit of edge-config.
type Commit struct {
	Hash    string
	Subject string
	Author  string
	Time    time.Time
}

// Tree is the declarations at a commit. Equal declarations have equal IDs, whatever the commits are.
type Tree struct {
	ID    string
	Files []load.File
}

// Conflict says why a head cannot be merged into the branch.
type Conflict struct{ Files []string }

func (c *Conflict) Error() string {
	return fmt.Sprintf("the branch and the pull both changed %s", strings.Join(c.Files, ", "))
}

// TreeOf makes a tree of files, in any order. Its ID hashes paths and git's blob ids: from git these are known already.
func TreeOf(files []load.File) Tree {
	files = slices.SortedFunc(slices.Values(files), func(a, b load.File) int { return strings.Compare(a.Path, b.Path) })
	h := sha256.New()
	for i, f := range files {
		if f.Hash == "" {
			blob := sha1.New()
			fmt.Fprintf(blob, "blob %d\x00%s", len(f.Data), f.Data)
			files[i].Hash = hex.EncodeToString(blob.Sum(nil))
		}
		for _, part := range []string{f.Path, " ", files[i].Hash, "\n"} {
			io.WriteString(h, part)
		}
	}
	return Tree{ID: hex.EncodeToString(h.Sum(nil)[:10]), Files: files}
}
