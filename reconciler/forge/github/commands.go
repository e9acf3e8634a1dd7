package github

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/edgewright/edgewright/reconciler/forge"
)

const (
	mostCommands = 100 // the last of a pull
	mostAuthors  = 20  // whose permission is asked for
)

// Commands are what people asked for in comments on a pull, oldest first, each with what its author may do. Whoever acts on them
// checks MayMerge, and remembers which ones he has seen.
func (c *Client) Commands(ctx context.Context, pull int) ([]forge.Command, error) {
	login, err := c.self(ctx)
	if err != nil {
		return nil, err
	}
	var found []forge.Command
	err = c.comments(ctx, pull, func(comment *github.IssueComment) {
		if strings.EqualFold(comment.GetUser().GetLogin(), login) {
			return
		}
		for _, command := range readCommands(comment.GetBody()) {
			command.Author, command.CommentID, command.At = comment.GetUser().GetLogin(), comment.GetID(), comment.GetCreatedAt().Time
			found = append(found, command)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("read comments of pull #%d: %w", pull, err)
	}
	found = found[max(len(found)-mostCommands, 0):]
	permissions := map[string]string{}
	var out []forge.Command
	for _, command := range found {
		permission, known := permissions[command.Author]
		if !known && len(permissions) >= mostAuthors {
			continue
		}
		if !known {
			if permission, err = c.permission(ctx, command.Author); err != nil {
				return nil, err
			}
			permissions[command.Author] = permission
		}
		command.Permission = permission
		out = append(out, command)
	}
	return out, nil
}

// permission is what a user may do in the repository; a stranger may do nothing.
func (c *Client) permission(ctx context.Context, login string) (string, error) {
	if login == "" || strings.ContainsAny(login, "/?#%") {
		return "none", nil
	}
	var found *github.RepositoryPermissionLevel
	err := c.read(ctx, func(ctx context.Context) error {
		var err error
		found, _, err = c.api.Repositories.GetPermissionLevel(ctx, c.Owner, c.Repo, login)
		return err
	})
	if isGone(err) {
		return "none", nil
	}
	if err != nil {
		return "", fmt.Errorf("ask what %s may do: %w", login, err)
	}
	return found.GetPermission(), nil
}

// readCommands finds lines that are a command and nothing else, outside of quotes and code.
func readCommands(body string) []forge.Command {
	line := regexp.MustCompile(`^edgewright apply ([0-9a-f]{20})(?: --confirm-deletes[ =]([0-9]{1,7}))?$`)
	var out []forge.Command
	inFence := false
	for _, text := range strings.Split(strings.ReplaceAll(body, "\r\n", "\n"), "\n") {
		if fenced := strings.TrimLeft(text, " "); strings.HasPrefix(fenced, "```") || strings.HasPrefix(fenced, "~~~") {
			inFence = !inFence
		}
		found := line.FindStringSubmatch(strings.TrimRight(text, " \t"))
		if found == nil || inFence || len(out) == 5 {
			continue
		}
		confirm, _ := strconv.Atoi(found[2])
		out = append(out, forge.Command{Digest: found[1], ConfirmDeletes: confirm})
	}
	return out
}
