package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/edgewright/edgewright/fixtures/forge"
	"github.com/edgewright/edgewright/reconciler/secret"
)

// bench is a mirror of a real repository over HTTP, and a person's clone of it.
type bench struct {
	*testing.T
	forge  *forge.Forge
	mirror *Mirror
	clone  string
	log    bytes.Buffer
}

func newBench(t *testing.T, c Config) *bench {
	t.Helper()
	b := &bench{T: t, clone: filepath.Join(t.TempDir(), "clone")}
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	var err error
	if b.forge, err = forge.Start(t.Context(), forge.Config{Dir: t.TempDir(), Token: "s3cr3t", Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.forge.Close() })
	seed := fstest.MapFS{
		"README.md":               {Data: []byte("read me\n")},
		"platform/fleets.cue":     {Data: []byte("package platform\n")},
		"services/jira/web.cue":   {Data: []byte("1\n2\n3\n4\n5\n6\n7\n8\n")},
		"services/jira/notes.txt": {Data: []byte("no declaration\n")},
		"services/trello/a.cue":   {Data: []byte("package services\n")},
	}
	if err := b.forge.Seed(t.Context(), seed, "the first tree"); err != nil {
		t.Fatal(err)
	}
	b.git("clone", "--quiet", b.forge.CloneURL(), b.clone)
	c.Dir, c.URL, c.Branch, c.Log = filepath.Join(t.TempDir(), "mirror"), b.forge.CloneURL(), "main", log
	if b.mirror, err = Open(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.mirror.Close() })
	b.fetch()
	return b
}

func (b *bench) git(args ...string) string {
	b.Helper()
	command := exec.CommandContext(b.Context(), "git", append([]string{"-c", "user.name=Ann", "-c", "user.email=ann@acme.example"}, args...)...)
	if _, err := os.Stat(b.clone); err == nil {
		command.Dir = b.clone
	}
	out, err := command.CombinedOutput()
	if err != nil {
		b.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// push commits a file and pushes it to a branch. The answer is the commit.
func (b *bench) push(branch, path, text string, flags ...string) string {
	b.Helper()
	full := filepath.Join(b.clone, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	b.git("add", "-A")
	b.git("commit", "--quiet", "-m", "change "+path)
	b.git(append(append([]string{"push", "--quiet"}, flags...), "origin", "HEAD:refs/heads/"+branch)...)
	return b.git("rev-parse", "HEAD")
}

func (b *bench) fetch() {
	b.Helper()
	if err := b.mirror.Fetch(b.Context(), ""); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) files(commit string) string {
	b.Helper()
	files, err := b.mirror.Files(b.Context(), commit)
	if err != nil {
		b.Fatal(err)
	}
	return names(files)
}

func names(files []File) string {
	var out []string
	for _, f := range files {
		out = append(out, f.Path)
	}
	return strings.Join(out, " ")
}

func TestMirrorFollowsTheBranch(t *testing.T) {
	b := newBench(t, Config{})
	tip, err := b.mirror.Tip()
	if err != nil || tip.Subject != "the first tree" {
		t.Fatalf("%+v, %v", tip, err)
	}
	if got := b.files(tip.Hash); got != "platform/fleets.cue services/jira/web.cue services/trello/a.cue" {
		t.Errorf("files %s", got)
	}
	second := b.push("main", "services/trello/b.cue", "package services\n")
	third := b.push("main", "services/trello/c.cue", "package services\n")
	b.fetch()
	between, err := b.mirror.Between(tip.Hash, third, 10)
	if err != nil || len(between) != 2 || between[0].Hash != third || between[1].Hash != second || between[0].Author != "Ann" {
		t.Errorf("between %+v, %v", between, err)
	}
	files, _ := b.mirror.Files(t.Context(), third)
	for _, f := range files {
		if want := plumbing.ComputeHash(plumbing.BlobObject, f.Data).String(); f.Hash != want {
			t.Errorf("%s has hash %s, want %s", f.Path, f.Hash, want)
		}
	}
	b.git("reset", "--quiet", "--hard", tip.Hash)
	rewritten := b.push("main", "services/trello/d.cue", "package services\n", "--force")
	b.fetch()
	if now, _ := b.mirror.Tip(); now.Hash != rewritten {
		t.Errorf("tip %s after a rewrite, want %s", now.Hash, rewritten)
	}
	if !strings.Contains(b.log.String(), "rewritten") {
		t.Error("the rewrite is not in the log")
	}
}

func TestMergedAsGitDoesIt(t *testing.T) {
	b := newBench(t, Config{})
	base, _ := b.mirror.Tip()
	head := b.push("topic", "services/jira/web.cue", "one\n2\n3\n4\n5\n6\n7\n8\n")
	b.git("reset", "--quiet", "--hard", base.Hash)
	both := b.push("clash", "services/jira/web.cue", "1\n2\n3\n4\n5\n6\n7\nacht\n")
	b.git("reset", "--quiet", "--hard", base.Hash)
	b.push("main", "services/jira/web.cue", "1\n2\n3\n4\n5\n6\n7\neight\n")
	b.push("main", "services/jira/more.cue", "package services\n")
	b.fetch()
	files, conflicts, err := b.mirror.Merged(t.Context(), head)
	if err != nil || len(conflicts) > 0 {
		t.Fatal(conflicts, err)
	}
	b.git("merge", "--quiet", "--no-edit", head)
	for _, f := range files {
		want := b.git("rev-parse", "HEAD:"+f.Path)
		if f.Hash != want {
			t.Errorf("%s merges to %s, git says %s:\n%s", f.Path, f.Hash, want, f.Data)
		}
	}
	if got := names(files); !strings.Contains(got, "more.cue") {
		t.Errorf("merged files %s", got)
	}
	if _, conflicts, err = b.mirror.Merged(t.Context(), both); err != nil || len(conflicts) != 1 || conflicts[0] != "services/jira/web.cue" {
		t.Errorf("conflicts %v, %v", conflicts, err)
	}
}

func TestUnfitAndTooLarge(t *testing.T) {
	b := newBench(t, Config{MaxFileBytes: 1000, MaxFiles: 5, Unread: func(path string) string {
		if path == "services/jira/other.yaml" {
			return "its name ends in .yaml"
		}
		return ""
	}})
	large := b.push("main", "services/jira/large.cue", strings.Repeat("x", 1001))
	b.fetch()
	unfit := func(commit string) string {
		files, err := b.mirror.Files(t.Context(), commit)
		if err != nil {
			t.Error(err)
		}
		var out []string
		for _, f := range files {
			if f.Unfit != "" {
				out = append(out, f.Path+": "+f.Unfit)
			}
		}
		return strings.Join(out, "\n")
	}
	if got, want := unfit(large), "services/jira/large.cue: it has 1001 bytes, a file of CUE has at most 1000"; got != want {
		t.Errorf("unfit %q, want %q", got, want)
	}
	var tooLarge *TooLargeError
	b.git("rm", "--quiet", "services/jira/large.cue")
	many := b.push("main", "services/jira/x.cue", "x")
	b.push("main", "services/jira/y.cue", "x")
	many = b.push("main", "services/jira/z.cue", "x")
	b.fetch()
	if _, err := b.mirror.Files(t.Context(), many); !errors.As(err, &tooLarge) {
		t.Errorf("error %v for too many files", err)
	}
	b.git("rm", "--quiet", "services/jira/x.cue", "services/jira/y.cue", "services/jira/z.cue")
	if err := os.Symlink("/etc/passwd", filepath.Join(b.clone, "services/jira/link.cue")); err != nil {
		t.Fatal(err)
	}
	b.push("main", "services/jira/other.yaml", "x")
	b.push("main", "other.yaml", "x")
	link := b.push("main", "README.md", "again\n")
	b.fetch()
	if got, want := unfit(link), "services/jira/link.cue: it is a symbolic link, which is not followed\nservices/jira/other.yaml: its name ends in .yaml"; got != want {
		t.Errorf("unfit %q, want %q", got, want)
	}
}

func TestUnreachableKeepsTheTipAndTheSecret(t *testing.T) {
	b := newBench(t, Config{Token: func(context.Context) (secret.Value, error) { return secret.New("s3cr3t"), nil }})
	before, _ := b.mirror.Tip()
	if err := b.forge.Close(); err != nil {
		t.Fatal(err)
	}
	err := b.mirror.Fetch(t.Context(), "")
	if err == nil || strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), "fetch main of http://127.0.0.1") {
		t.Errorf("error %v", err)
	}
	if after, err := b.mirror.Tip(); err != nil || after != before {
		t.Errorf("tip %v, %v", after, err)
	}
}

func TestBrokenMirrorHeals(t *testing.T) {
	b := newBench(t, Config{})
	b.push("topic", "services/jira/x.cue", "package services\n")
	b.git("reset", "--quiet", "--hard", "HEAD^")
	b.fetch()
	for _, breakIt := range []func() error{
		func() error { return os.RemoveAll(filepath.Join(b.mirror.Dir, "objects")) },
		func() error { return os.WriteFile(filepath.Join(b.mirror.Dir, "config"), []byte("[broken"), 0o644) },
		func() error { return os.Remove(filepath.Join(b.mirror.Dir, "HEAD")) },
		func() error { return os.Truncate(filepath.Join(b.mirror.Dir, "refs", "heads", "main"), 0) },
		func() error { return os.Truncate(filepath.Join(b.mirror.Dir, "refs", "pull", "1", "head"), 0) },
	} {
		if err := breakIt(); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), b.mirror.Config)
		if err != nil {
			t.Fatal(err)
		}
		want := b.push("main", "README.md", fmt.Sprint(time.Now().UnixNano()))
		if err := again.Fetch(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if tip, err := again.Tip(); err != nil || tip.Hash != want {
			t.Errorf("tip %v, %v", tip, err)
		}
		if _, err := again.Files(t.Context(), want); err != nil {
			t.Error(err)
		}
	}
}

func TestRepack(t *testing.T) {
	b := newBench(t, Config{})
	var last string
	for i := range maxPacks + 5 {
		last = b.push("main", "services/trello/a.cue", fmt.Sprint(i))
		b.fetch()
	}
	packs, _ := filepath.Glob(filepath.Join(b.mirror.Dir, "objects", "pack", "*.pack"))
	if len(packs) > maxPacks {
		t.Errorf("%d packs", len(packs))
	}
	files, err := b.mirror.Files(t.Context(), last)
	if err != nil || string(files[2].Data) != fmt.Sprint(maxPacks+4) {
		t.Errorf("files %v, %v", files, err)
	}
}
