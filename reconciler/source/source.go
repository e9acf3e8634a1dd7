// Package source is the mirror of edge-config: a bare git repository that is fetched over HTTP, and the declarations at any of its
// commits, or as a merge would give them.
//
// It reads no CUE and decides nothing. What it holds can be fetched again: a broken mirror is thrown away.
package source

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"

	"github.com/edgewright/edgewright/reconciler/secret"
)

// Config says what is mirrored and where. Zero bounds take the defaults in brackets.
type Config struct {
	Dir          string // of the mirror, made when it is not there
	URL          string // http or https
	Branch       string
	Token        func(context.Context) (secret.Value, error) // nil: none; else the password of user x-access-token
	MaxFiles     int                                         // declarations in a tree (50,000)
	MaxFileBytes int64                                       // of one (1 MiB)
	MaxBytes     int64                                       // of all (256 MiB)
	Unread       func(path string) (why string)              // files that people may take for declarations, and why they are none; nil: none
	Log          *slog.Logger
}

// Commit is a commit of the branch.
type Commit struct {
	Hash    string
	Subject string
	Author  string
	Time    time.Time
}

// Mirror is the bare repository. It is safe for use by many goroutines.
type Mirror struct {
	Config

	mu         sync.Mutex // go-git's storage is not for concurrent use
	repository *git.Repository
	lists      map[listing][]entry // declarations below a tree
	listed     int                 // how many there are in lists
	blobs      map[plumbing.Hash][]byte
}

// maxPacks is how many packs the mirror may have: each fetch adds one, and each costs an open file.
const maxPacks = 50

// Open opens the mirror, or makes an empty one. It does not fetch.
func Open(_ context.Context, c Config) (*Mirror, error) {
	if c.MaxFiles == 0 {
		c.MaxFiles = 50_000
	}
	if c.MaxFileBytes == 0 {
		c.MaxFileBytes = 1 << 20
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = 256 << 20
	}
	m := &Mirror{Config: c, lists: map[listing][]entry{}, blobs: map[plumbing.Hash][]byte{}}
	return m, m.open()
}

func (m *Mirror) open() (err error) {
	m.repository, err = git.PlainOpen(m.Dir)
	if err == nil {
		if _, err = m.repository.Config(); err == nil {
			return nil
		}
	}
	if !errors.Is(err, git.ErrRepositoryNotExists) {
		m.Log.Warn("the mirror is broken and is made anew", "dir", m.Dir, "error", err)
	}
	if err := os.RemoveAll(m.Dir); err != nil {
		return fmt.Errorf("remove broken mirror: %w", err)
	}
	if m.repository, err = git.PlainInit(m.Dir, true); err != nil {
		return fmt.Errorf("make mirror: %w", err)
	}
	return nil
}

// Close lets go of the repository.
func (m *Mirror) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if closer, ok := m.repository.Storer.(interface{ Close() error }); ok {
		return closer.Close()
	}
	return nil
}

// Fetch brings the branch and the heads of all pulls up to date, those that are gone too. What was there before stays when it fails. told is
// the commit that the branch is said to be at, which saves time where it is, or empty.
func (m *Mirror) Fetch(ctx context.Context, told string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, _ := m.repository.Reference(m.branch(), true)
	if before != nil && plumbing.IsHash(told) && told != before.Hash().String() {
		done, err := m.fetchTold(ctx, plumbing.NewHash(told))
		if done {
			m.noteRewrite(before)
			return m.repack()
		}
		m.Log.Debug("the branch is not fetched as told", "told", told, "error", err)
	}
	err := m.fetch(ctx)
	if err != nil && m.broken() {
		m.Log.Warn("the mirror is broken and is made anew", "dir", m.Dir, "error", err)
		if err = m.renew(); err == nil {
			err = m.fetch(ctx)
		}
	}
	if err != nil {
		return fmt.Errorf("fetch %s of %s: %w", m.Branch, m.redacted(), err)
	}
	m.noteRewrite(before)
	return m.repack()
}

func (m *Mirror) fetch(ctx context.Context) error {
	options := &git.FetchOptions{
		RefSpecs: []config.RefSpec{config.RefSpec("+" + m.branch() + ":" + m.branch()), "+refs/pull/*/head:refs/pull/*/head"},
		Tags:     git.NoTags, Force: true, Prune: true,
	}
	var err error
	if options.Auth, err = m.auth(ctx); err != nil {
		return err
	}
	remote := git.NewRemote(m.repository.Storer, &config.RemoteConfig{Name: "origin", URLs: []string{m.URL}})
	if err := remote.FetchContext(ctx, options); err != nil && !errors.Is(err, git.NoErrAlreadyUpToDate) {
		return err
	}
	return nil
}

// auth is how one is let in.
func (m *Mirror) auth(ctx context.Context) (transport.AuthMethod, error) {
	if m.Token == nil {
		return nil, nil
	}
	token, err := m.Token(ctx)
	if err != nil {
		return nil, fmt.Errorf("get token: %w", err)
	}
	return &http.BasicAuth{Username: "x-access-token", Password: token.Reveal()}, nil
}

// broken tells whether what was fetched can no longer be read here, whatever the remote says: a power cut leaves refs without content.
func (m *Mirror) broken() bool {
	refs, err := m.repository.References()
	if err != nil {
		return true
	}
	defer refs.Close()
	if err := refs.ForEach(func(*plumbing.Reference) error { return nil }); err != nil {
		return true
	}
	tip, err := m.repository.Reference(m.branch(), true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return false // nothing was fetched yet
	}
	if err != nil {
		return true
	}
	_, err = m.repository.CommitObject(tip.Hash())
	return err != nil
}

func (m *Mirror) renew() error {
	if err := os.RemoveAll(m.Dir); err != nil {
		return fmt.Errorf("remove broken mirror: %w", err)
	}
	return m.open()
}

// noteRewrite logs a branch that was rewritten: it is taken as it is.
func (m *Mirror) noteRewrite(before *plumbing.Reference) {
	after, err := m.repository.Reference(m.branch(), true)
	if before == nil || err != nil || before.Hash() == after.Hash() {
		return
	}
	was, err := m.repository.CommitObject(before.Hash())
	if err != nil {
		return
	}
	is, err := m.repository.CommitObject(after.Hash())
	if err != nil {
		return
	}
	if forward, err := was.IsAncestor(is); err == nil && !forward {
		m.Log.Warn("the branch was rewritten", "branch", m.Branch, "before", before.Hash().String(), "after", after.Hash().String())
	}
}

// repack joins the packs once there are many.
func (m *Mirror) repack() error {
	packs, err := filepath.Glob(filepath.Join(m.Dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) <= maxPacks {
		return err
	}
	if err := m.repository.RepackObjects(&git.RepackConfig{}); err != nil {
		return fmt.Errorf("repack mirror: %w", err)
	}
	return m.open() // indexes of packs that are gone are held in memory otherwise
}

// Tip is the newest commit of the branch that was fetched.
func (m *Mirror) Tip() (Commit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.tip()
	if err != nil {
		return Commit{}, err
	}
	return commitOf(c), nil
}

func (m *Mirror) tip() (*object.Commit, error) {
	ref, err := m.repository.Reference(m.branch(), true)
	if err != nil {
		return nil, fmt.Errorf("find branch %s in the mirror: %w", m.Branch, err)
	}
	c, err := m.repository.CommitObject(ref.Hash())
	if err != nil {
		return nil, fmt.Errorf("read tip of %s: %w", m.Branch, err)
	}
	return c, nil
}

// Between are the commits after one and up to another, newest first, by first parents, at most limit. Where the first is none of
// those, because the branch was rewritten, it is the other one alone.
func (m *Mirror) Between(after, upTo string, limit int) ([]Commit, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Commit
	reached := after == ""
	for hash := plumbing.NewHash(upTo); len(out) < limit; {
		if reached = reached || hash.String() == after; hash.String() == after {
			break
		}
		c, err := m.repository.CommitObject(hash)
		if err != nil {
			return out, fmt.Errorf("read commit %s: %w", hash, err)
		}
		out = append(out, commitOf(c))
		if c.NumParents() == 0 {
			break
		}
		hash = c.ParentHashes[0]
		reached = reached || hash.String() == after
	}
	if !reached && len(out) > 1 {
		out = out[:1]
	}
	return out, nil
}

func commitOf(c *object.Commit) Commit {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return Commit{Hash: c.Hash.String(), Subject: subject, Author: c.Author.Name, Time: c.Committer.When}
}

func (m *Mirror) branch() plumbing.ReferenceName { return plumbing.NewBranchReferenceName(m.Branch) }

// redacted is the URL without what must not be shown.
func (m *Mirror) redacted() string {
	u, err := url.Parse(m.URL)
	if err != nil {
		return "the repository"
	}
	return u.Redacted()
}
