package github

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/edgewright/edgewright/reconciler/forge"
)

// putComment edits the one comment of a pull, or makes it.
func (c *Client) putComment(ctx context.Context, to forge.Target, at *slot, body string) error {
	standing := ""
	if at.comment == 0 {
		found, err := c.heal(ctx, to)
		if err != nil {
			return err
		}
		at.comment, standing = found.GetID(), found.GetBody()
	}
	if at.comment == 0 {
		return c.makeComment(ctx, to, at, body)
	}
	if forge.Steady(standing) == forge.Steady(body) {
		return nil
	}
	err := c.write(ctx, to.Background, func(ctx context.Context) error {
		_, _, err := c.api.Issues.EditComment(ctx, c.Owner, c.Repo, at.comment, &github.IssueComment{Body: &body})
		return err
	})
	if isGone(err) { // a person deleted it
		at.comment = 0
		return c.makeComment(ctx, to, at, body)
	}
	return err
}

// makeComment makes the comment, and takes another's place if one was made at the same time.
func (c *Client) makeComment(ctx context.Context, to forge.Target, at *slot, body string) error {
	err := c.write(ctx, to.Background, func(ctx context.Context) error {
		_, _, err := c.api.Issues.CreateComment(ctx, c.Owner, c.Repo, to.Pull, &github.IssueComment{Body: &body})
		return err
	})
	if err != nil {
		return err
	}
	kept, err := c.heal(ctx, to)
	if err != nil {
		return err
	}
	if kept != nil && forge.Steady(kept.GetBody()) != forge.Steady(body) {
		at.comment = kept.GetID()
		return c.putComment(ctx, to, at, body)
	}
	at.comment = kept.GetID()
	return nil
}

// heal finds our comment on a pull, and deletes all but the first where there are more. nil: there is none.
func (c *Client) heal(ctx context.Context, to forge.Target) (*github.IssueComment, error) {
	login, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	var first *github.IssueComment
	var more []int64
	err = c.comments(ctx, to.Pull, func(found *github.IssueComment) {
		switch {
		case !isOurs(found, login):
		case first == nil:
			first = found
		default:
			more = append(more, found.GetID())
		}
	})
	if err != nil {
		return nil, err
	}
	for _, id := range more {
		err := c.write(ctx, to.Background, func(ctx context.Context) error {
			_, err := c.api.Issues.DeleteComment(ctx, c.Owner, c.Repo, id)
			return err
		})
		if err != nil && !isGone(err) {
			return nil, err
		}
	}
	return first, nil
}

// isOurs tells our comment by its author and by its first line: either alone can be anybody's.
func isOurs(found *github.IssueComment, login string) bool {
	first, _, _ := strings.Cut(found.GetBody(), "\n")
	return strings.EqualFold(found.GetUser().GetLogin(), login) && strings.TrimRight(first, "\r ") == forge.Marker
}

// comments walks through the comments of a pull, oldest first.
func (c *Client) comments(ctx context.Context, pull int, each func(*github.IssueComment)) error {
	return pages(func(at github.ListOptions) (*github.Response, error) {
		var found []*github.IssueComment
		var response *github.Response
		err := c.read(ctx, func(ctx context.Context) error {
			var err error
			found, response, err = c.api.Issues.ListComments(ctx, c.Owner, c.Repo, pull, &github.IssueListCommentsOptions{ListOptions: at})
			return err
		})
		for _, comment := range found {
			each(comment)
		}
		return response, err
	})
}

func isGone(err error) bool {
	var answer *github.ErrorResponse
	return errors.As(err, &answer) && answer.Response != nil &&
		(answer.Response.StatusCode == http.StatusNotFound || answer.Response.StatusCode == http.StatusGone)
}
