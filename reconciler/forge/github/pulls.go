package github

import (
	"context"
	"fmt"

	"github.com/google/go-github/v60/github"

	"github.com/edgewright/edgewright/reconciler/forge"
)

// Pulls are the open pulls, in the order of their numbers.
func (c *Client) Pulls(ctx context.Context) ([]forge.Pull, error) {
	var out []forge.Pull
	err := pages(func(at github.ListOptions) (*github.Response, error) {
		found, response, err := c.listPulls(ctx, github.PullRequestListOptions{State: "open", Sort: "created", Direction: "asc", ListOptions: at})
		out = append(out, found...)
		return response, err
	})
	if err != nil {
		return nil, fmt.Errorf("list open pulls: %w", err)
	}
	return out, nil
}

// Merged are pulls that were merged, of the hundred that were closed last, newest first: to go on with their comments after a start.
func (c *Client) Merged(ctx context.Context) ([]forge.Pull, error) {
	found, _, err := c.listPulls(ctx, github.PullRequestListOptions{
		State: "closed", Sort: "updated", Direction: "desc", ListOptions: github.ListOptions{PerPage: perPage},
	})
	if err != nil {
		return nil, fmt.Errorf("list merged pulls: %w", err)
	}
	var out []forge.Pull
	for _, p := range found {
		if p.Merged != "" {
			out = append(out, p)
		}
	}
	return out, nil
}

// PullOf is the merged pull that a commit of the branch came from.
func (c *Client) PullOf(ctx context.Context, commit string) (forge.Pull, bool, error) {
	var found []*github.PullRequest
	err := c.read(ctx, func(ctx context.Context) error {
		var err error
		found, _, err = c.api.PullRequests.ListPullRequestsWithCommit(ctx, c.Owner, c.Repo, commit, &github.ListOptions{PerPage: perPage})
		return err
	})
	if err != nil {
		return forge.Pull{}, false, fmt.Errorf("find pull of commit %s: %w", commit, err)
	}
	var best forge.Pull
	for _, p := range found {
		pull := c.pull(p)
		if pull.Merged == commit {
			return pull, true, nil
		}
		if pull.Merged != "" && best.Number == 0 {
			best = pull
		}
	}
	return best, best.Number != 0, nil
}

// head is the commit that a pull's branch is at, as far as the forge tells.
func (c *Client) head(ctx context.Context, number int) (sha string, merged bool, err error) {
	var found *github.PullRequest
	err = c.read(ctx, func(ctx context.Context) error {
		var err error
		found, _, err = c.api.PullRequests.Get(ctx, c.Owner, c.Repo, number)
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("read pull #%d: %w", number, err)
	}
	return found.GetHead().GetSHA(), found.GetMerged(), nil
}

func (c *Client) listPulls(ctx context.Context, options github.PullRequestListOptions) ([]forge.Pull, *github.Response, error) {
	var found []*github.PullRequest
	var response *github.Response
	err := c.read(ctx, func(ctx context.Context) error {
		var err error
		found, response, err = c.api.PullRequests.List(ctx, c.Owner, c.Repo, &options)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	out := make([]forge.Pull, len(found))
	for i, p := range found {
		out[i] = c.pull(p)
	}
	return out, response, nil
}

// pull is a pull in our words. One whose head repository is gone, or is not this one, is a fork's.
func (c *Client) pull(p *github.PullRequest) forge.Pull {
	out := forge.Pull{
		Number: p.GetNumber(), Title: p.GetTitle(), Author: p.GetUser().GetLogin(), URL: p.GetHTMLURL(),
		Head: p.GetHead().GetSHA(), HeadRef: p.GetHead().GetRef(), Base: p.GetBase().GetSHA(), BaseRef: p.GetBase().GetRef(),
		Updated: p.GetUpdatedAt().Time,
	}
	from, to := p.GetHead().GetRepo(), p.GetBase().GetRepo()
	out.Fork = from == nil || from.GetID() != to.GetID()
	if p.GetMerged() || p.MergedAt != nil {
		out.Merged = p.GetMergeCommitSHA()
	}
	return out
}
