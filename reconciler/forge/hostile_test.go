package forge

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

// rendered is what a forge would make of a comment.
type rendered struct {
	faults error
	fences int
}

// ourHTML is all the HTML that a comment may hold.
var ourHTML = regexp.MustCompile(`^(<!-- edgewright:plan -->|<details><summary>Diff of [0-9]+ steps?, riskiest first</summary>|</details>|<br>)$`)

// mention is what a forge makes a link to a person, an issue or a page of, in text outside of code.
var mention = regexp.MustCompile(`(?i)@[a-z0-9]|#[0-9]|\bgh-[0-9]|://|www\.[a-z0-9]`)

// render parses a comment as GitHub's Markdown and finds whatever is not ours in it.
func render(t testing.TB, comment string) rendered {
	t.Helper()
	source := []byte(comment)
	parser := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()
	var out rendered
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	outside := strings.Builder{}
	err := ast.Walk(parser.Parse(text.NewReader(source)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.CodeSpan:
			outside.WriteString(" ")
			return ast.WalkSkipChildren, nil
		case *ast.FencedCodeBlock:
			out.fences++
		case *ast.CodeBlock:
			fault("an indented code block: %q", n.Lines().Value(source))
		case *ast.HTMLBlock:
			for _, line := range strings.Split(strings.TrimSpace(string(n.Lines().Value(source))), "\n") {
				if !ourHTML.MatchString(line) {
					fault("HTML block %q", line)
				}
			}
		case *ast.RawHTML:
			if html := string(n.Segments.Value(source)); !ourHTML.MatchString(html) {
				fault("HTML %q", html)
			}
		case *ast.AutoLink:
			fault("a link to %q", n.URL(source))
		case *ast.Link:
			if !strings.HasPrefix(string(n.Destination), "https://edge.example.com/") {
				fault("a link to %q", n.Destination)
			}
		case *ast.Image:
			fault("an image %q", n.Destination)
		case *ast.Heading:
			if n.Level != 3 {
				fault("a heading of level %d", n.Level)
			}
		case *ast.Text:
			outside.Write(n.Segment.Value(source))
		case *ast.String:
			outside.Write(n.Value)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		fault("walk: %w", err)
	}
	// What is left of entities and escapes becomes text again before mentions are looked for.
	shown := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&", `\`, "").Replace(outside.String())
	if found := mention.FindString(shown); found != "" {
		fault("text that becomes a link: %q in %q", found, shown)
	}
	if strings.Count(comment, "\n"+Marker)+strings.Count(comment, Marker+"\n") != 1 || !strings.HasPrefix(comment, Marker+"\n") {
		fault("the marker stands elsewhere than once at the top")
	}
	out.faults = errors.Join(faults...)
	return out
}

func TestHostileWords(t *testing.T) {
	for name, r := range cases() {
		page := render(t, r.Comment())
		if page.faults != nil {
			t.Errorf("%s: %v", name, page.faults)
		}
		want := 0
		if len(r.Steps) > 0 {
			want++
		}
		if r.has(verb(plan.Delete)) {
			want++
		}
		if page.fences != want {
			t.Errorf("%s: %d fences, want %d", name, page.fences, want)
		}
	}
}

// hostileReview puts the same words everywhere that others can write.
func hostileReview(words, more string) Review {
	step := func(v plan.Verb) Step {
		key := resource.Key{Kind: resource.EnvoyService, Scope: resource.Scope("fleet/" + words), Name: more}
		s := Step{Step: plan.Step{Key: key, Verb: v}, Why: words}
		if v != plan.Create {
			s.Before = resource.ValueOf(map[string]any{words: more, "hosts": []string{words, "b"}})
		}
		if v != plan.Delete {
			s.After = resource.ValueOf(map[string]any{words: words, "hosts": []string{more}})
		}
		return s
	}
	record := recordStep(plan.Delete, words, []string{more}, nil)
	record.Drift = true
	return Review{
		Head: words, Base: more, Digest: words, Tree: more, Note: words,
		Steps:    []Step{step(plan.Create), step(plan.Update), step(plan.Delete), record},
		Problems: []schema.Problem{{Code: schema.Code(words), Message: more, Hint: words, Line: more, Position: schema.Position{File: words, Line: 1}}},
		Vetoes:   []plan.Veto{{Guard: words, Message: more, Unblock: words}},
		Clashes:  []plan.Clash{{Key: record.Key, Message: words, Unblock: more}},
		Held:     []Held{{schema.ServiceID(words), more}},
		Drift:    []Drift{{Key: record.Key, Fields: []plan.FieldChange{{Path: words, Before: more, After: words}}}},
	}
}

func FuzzComment(f *testing.F) {
	for _, words := range []string{
		"", "jira-web", "```", "`", "``` \n```diff", "</details>", "<script>alert(1)</script>", "@everyone", "#1 org/repo#2 GH-3", "\n\n# x",
		"[a](http://b)", "![a](b)", "http://evil.example www.evil.example mailto:a@b.example", "<!-- edgewright:plan -->", "*a* _b_ ~~c~~ |d|",
		"\\", "\\`", "&lt;b&gt; &#64;a", "a\u202eb\u200b@c", "$x$ $$y$$", "\xff\xfe", "- [ ] x", "1. x", "\t\tx", "    x", "===", "---", ":smile:",
		"ftp://x.example", "[x]: http://y", "https:\u200b//z", "<a@b.example>", "a`b``c```d",
	} {
		f.Add(words, "x "+words)
		f.Add("é", words)
	}
	f.Fuzz(func(t *testing.T, words, more string) {
		for _, state := range []State{Planned, Vetoed, Unknown, Waiting, Applying, Applied} {
			r := hostileReview(words, more)
			r.State = state
			if state == Waiting || state == Applying {
				r.Steps[1].Status, r.Commit = StepFailed, words
			}
			comment := r.Comment()
			page := render(t, comment)
			if page.faults != nil {
				t.Fatalf("%s %q %q: %v\n%s", state, words, more, page.faults, comment)
			}
			if page.fences != 2 {
				t.Fatalf("%s %q %q: %d fences, want 2\n%s", state, words, more, page.fences, comment)
			}
			if utf8.RuneCountInString(comment) > 65_536 {
				t.Fatalf("%d characters", utf8.RuneCountInString(comment))
			}
			if out := Text(r, Terminal{Full: true}); strings.ContainsFunc(out, func(c rune) bool { return c < ' ' && c != '\n' || c == 0x7f || c == 0x9b || c == 0x202e }) {
				t.Fatalf("the terminal is sent control characters: %q", out)
			}
			r.Check()
		}
	})
}
