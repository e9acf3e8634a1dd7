package github

import (
	"context"
	"strconv"
	"strings"

	"github.com/google/go-github/v60/github"

	"github.com/edgewright/edgewright/reconciler/forge"
)

const atOnce = 50 // annotations a request may carry

// putCheck updates the check run of a commit, or makes one. Annotations can only be added to a run: other ones need a new run, and
// the newest of a name is the one that counts.
func (c *Client) putCheck(ctx context.Context, to forge.Target, at *slot, check forge.Check, shown string) error {
	noted := hash(check.Annotations)
	if at.run == 0 {
		done, err := c.findCheck(ctx, to, at, shown, noted, len(check.Annotations))
		if err != nil || done {
			return err
		}
	}
	chunks := chunked(check.Annotations)
	if at.run != 0 && at.noted == noted {
		chunks = [][]*github.CheckRunAnnotation{nil}
	} else {
		at.run, at.noted = 0, ""
	}
	for _, annotations := range chunks {
		if err := c.sendCheck(ctx, to, at, check, shown+" "+noted, annotations); err != nil {
			if at.noted == "" || isGone(err) {
				at.run, at.noted = 0, "" // half of the annotations are there, or nothing: begin a new one
			}
			return err
		}
	}
	at.noted = noted
	return nil
}

// findCheck finds a run that an earlier process made. Its external id says what it shows.
func (c *Client) findCheck(ctx context.Context, to forge.Target, at *slot, shown, noted string, annotations int) (done bool, err error) {
	options := &github.ListCheckRunsOptions{CheckName: &c.CheckName, Filter: github.String("latest")}
	if c.App.ID != 0 {
		options.AppID = &c.App.ID
	}
	var found *github.ListCheckRunsResults
	err = c.read(ctx, func(ctx context.Context) error {
		var err error
		found, _, err = c.api.Checks.ListCheckRunsForRef(ctx, c.Owner, c.Repo, to.SHA, options)
		return err
	})
	if err != nil {
		return false, err
	}
	for _, run := range found.CheckRuns {
		wasShown, wasNoted, ours := strings.Cut(run.GetExternalID(), " ")
		complete := run.GetOutput().GetAnnotationsCount() == annotations
		if run.GetName() != c.CheckName || !ours || wasNoted != noted || !complete {
			continue
		}
		at.run, at.noted = run.GetID(), noted
		return wasShown == shown, nil
	}
	return false, nil
}

// sendCheck makes or updates the run with one chunk of annotations.
func (c *Client) sendCheck(ctx context.Context, to forge.Target, at *slot, check forge.Check, id string, annotations []*github.CheckRunAnnotation) error {
	status, conclusion := "in_progress", (*string)(nil)
	if check.Conclusion != forge.Running {
		status, conclusion = "completed", github.String(string(check.Conclusion))
	}
	var details *string
	if check.DetailsURL != "" {
		details = &check.DetailsURL
	}
	output := &github.CheckRunOutput{Title: &check.Title, Summary: &check.Summary, Annotations: annotations}
	return c.write(ctx, to.Background, func(ctx context.Context) error {
		if at.run != 0 {
			_, _, err := c.api.Checks.UpdateCheckRun(ctx, c.Owner, c.Repo, at.run, github.UpdateCheckRunOptions{
				Name: c.CheckName, Status: &status, Conclusion: conclusion, ExternalID: &id, DetailsURL: details, Output: output,
			})
			return err
		}
		run, _, err := c.api.Checks.CreateCheckRun(ctx, c.Owner, c.Repo, github.CreateCheckRunOptions{
			Name: c.CheckName, HeadSHA: to.SHA, Status: &status, Conclusion: conclusion, ExternalID: &id, DetailsURL: details, Output: output,
		})
		at.run = run.GetID()
		return err
	})
}

// chunked divides annotations into what one request may carry; there is always one chunk.
func chunked(annotations []forge.Annotation) [][]*github.CheckRunAnnotation {
	chunks := [][]*github.CheckRunAnnotation{nil}
	for i, a := range annotations {
		if i > 0 && i%atOnce == 0 {
			chunks = append(chunks, nil)
		}
		out := &github.CheckRunAnnotation{
			Path: github.String(a.Path), StartLine: github.Int(a.Line), EndLine: github.Int(a.Line),
			AnnotationLevel: github.String("failure"), Title: github.String(orText(a.Title, "problem")),
			Message: github.String(orText(a.Message, "problem at line "+strconv.Itoa(a.Line))),
		}
		if a.Column > 0 {
			out.StartColumn, out.EndColumn = github.Int(a.Column), github.Int(a.Column)
		}
		last := len(chunks) - 1
		chunks[last] = append(chunks[last], out)
	}
	return chunks
}

func orText(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
