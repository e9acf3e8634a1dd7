// Package forge says what people are told about a change: a review as data, and its wording as a pull's comment, as a check and for
// a terminal.
//
// It sends nothing and knows no forge: forge/github does.
package forge

import (
	"fmt"
	"slices"
	"time"
)

// Pull is a pull request.
type Pull struct {
	Number  int       `json:"number"`
	Title   string    `json:"title"`
	Author  string    `json:"author"`
	URL     string    `json:"url,omitempty"`
	Head    string    `json:"head"` // commit
	HeadRef string    `json:"headRef"`
	Base    string    `json:"base"` // commit that the forge last compared with
	BaseRef string    `json:"baseRef"`
	Fork    bool      `json:"fork,omitempty"`   // the head lies in another repository
	Merged  string    `json:"merged,omitempty"` // the commit that it became; empty: not merged
	Updated time.Time `json:"updated,omitzero"`
}

// Target is where a review is posted.
type Target struct {
	Pull       int    // 0: only a check on the commit
	SHA        string // head of the pull, or commit of the branch
	CheckOnly  bool   // no comment, and no question whether the head is still current
	Background bool   // nobody waits for it: it goes out after what people wait for
}

// Command is what somebody asked for in a comment on a pull. Whoever acts on it checks MayMerge.
type Command struct {
	Digest         string
	ConfirmDeletes int // 0: not given
	Author         string
	Permission     string // in the forge's words: admin, maintain, write, triage, read, none
	CommentID      int64
	At             time.Time
}

// MayMerge tells whether the author has the right to merge.
func (c Command) MayMerge() bool {
	return slices.Contains([]string{"admin", "maintain", "write"}, c.Permission)
}

// MovedError says that a review was not posted because the pull has another head by now (or does not show it yet).
type MovedError struct {
	Pull       int
	Want, Have string
	Merged     bool
}

func (e *MovedError) Error() string {
	if e.Merged {
		return fmt.Sprintf("pull #%d is merged, the review is of an open one", e.Pull)
	}
	return fmt.Sprintf("pull #%d has head %s, the review is of %s", e.Pull, short(e.Have), short(e.Want))
}

func short(hash string) string { return hash[:min(len(hash), 10)] }
