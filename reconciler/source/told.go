package source

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
	"github.com/go-git/go-git/v5/storage/memory"
	"golang.org/x/sync/errgroup"
)

// fetchTold brings the mirror up to date where somebody has told which commit the branch is at: what that commit has is asked for while the
// remote is asked which commits there are, instead of after it. What the remote says counts. done is false where it does not say what was
// told, or has more that is new: then the mirror is as it was, but for objects.
func (m *Mirror) fetchTold(ctx context.Context, told plumbing.Hash) (done bool, err error) {
	var remote memory.ReferenceStorage
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error {
		session, err := m.session(within)
		if err != nil {
			return err
		}
		defer session.Close()
		advertised, err := session.AdvertisedReferencesContext(within)
		if err != nil {
			return err
		}
		remote, err = advertised.AllReferences()
		return err
	})
	group.Go(func() error {
		if m.repository.Storer.HasEncodedObject(told) == nil {
			return nil
		}
		return m.fetchCommit(within, told)
	})
	if err := group.Wait(); err != nil {
		return false, err
	}
	if at, err := remote.Reference(m.branch()); err != nil || at.Hash() != told {
		return false, nil
	}
	return m.follow(remote)
}

func (m *Mirror) session(ctx context.Context) (transport.UploadPackSession, error) {
	endpoint, err := transport.NewEndpoint(m.URL)
	if err != nil {
		return nil, err
	}
	to, err := client.NewClient(endpoint)
	if err != nil {
		return nil, err
	}
	auth, err := m.auth(ctx)
	if err != nil {
		return nil, err
	}
	return to.NewUploadPackSession(endpoint, auth)
}

// fetchCommit asks for what a commit has and the branch, as it is here, has not. Any server of git's has these capabilities
// (gitprotocol-capabilities(5)).
func (m *Mirror) fetchCommit(ctx context.Context, commit plumbing.Hash) error {
	tip, err := m.repository.Reference(m.branch(), true)
	if err != nil {
		return err
	}
	session, err := m.session(ctx)
	if err != nil {
		return err
	}
	defer session.Close()
	req := packp.NewUploadPackRequest()
	for _, c := range []capability.Capability{capability.OFSDelta, capability.Sideband64k, capability.NoProgress} {
		if err := req.Capabilities.Set(c); err != nil {
			return err
		}
	}
	req.Wants, req.Haves = []plumbing.Hash{commit}, []plumbing.Hash{tip.Hash()}
	answer, err := session.UploadPack(ctx, req)
	if err != nil {
		return err
	}
	return errors.Join(packfile.UpdateObjectStorage(m.repository.Storer, sideband.NewDemuxer(sideband.Sideband64k, answer)), answer.Close())
}

// follow makes the refs that are mirrored those of the remote. Where an object is missing for one, nothing is changed.
func (m *Mirror) follow(remote storer.ReferenceStorer) (done bool, err error) {
	var set, remove []*plumbing.Reference
	err = each(remote, func(r *plumbing.Reference) error {
		if !m.mirrored(r.Name()) {
			return nil
		}
		if here, err := m.repository.Reference(r.Name(), false); err == nil && here.Hash() == r.Hash() {
			return nil
		}
		set = append(set, r)
		return m.repository.Storer.HasEncodedObject(r.Hash())
	})
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := each(m.repository.Storer, func(r *plumbing.Reference) error {
		if _, err := remote.Reference(r.Name()); m.mirrored(r.Name()) && errors.Is(err, plumbing.ErrReferenceNotFound) {
			remove = append(remove, r)
		}
		return nil
	}); err != nil {
		return false, err
	}
	for _, r := range set {
		if err := m.repository.Storer.SetReference(r); err != nil {
			return false, fmt.Errorf("write %s: %w", r.Name(), err)
		}
	}
	for _, r := range remove {
		if err := m.repository.Storer.RemoveReference(r.Name()); err != nil {
			return false, fmt.Errorf("remove %s: %w", r.Name(), err)
		}
	}
	return true, nil
}

func each(refs storer.ReferenceStorer, do func(*plumbing.Reference) error) error {
	all, err := refs.IterReferences()
	if err != nil {
		return err
	}
	defer all.Close()
	return all.ForEach(do)
}

// mirrored tells whether a ref is kept here: the branch, and the heads of pulls.
func (m *Mirror) mirrored(name plumbing.ReferenceName) bool {
	return name == m.branch() || strings.HasPrefix(name.String(), "refs/pull/") && strings.HasSuffix(name.String(), "/head")
}
