package forge

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgewright/edgewright/render/resource"
	"github.com/edgewright/edgewright/schema"
)

const (
	// Marker is the first line of the one comment.
	Marker = "<!-- edgewright:plan -->"
	// mostBytes keeps a comment below 65,536 characters however they are counted.
	mostBytes = 65_000
	// observedLine begins the one line that changes without anything having changed.
	observedLine = "Observed: "
)

// Comment is the review as the one comment of a pull, in Markdown, at most 65,536 characters long whatever it holds.
func (r Review) Comment() string { return Marker + "\n" + r.body(mostBytes-len(Marker)-1) }

// Steady is a comment without what changes while its meaning does not, to compare two of them.
func Steady(comment string) string {
	lines := strings.Split(strings.ReplaceAll(comment, "\r\n", "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, observedLine) })
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// page divides a budget of bytes among sections: they are written in the order in which they are read, and filled in the order
// in which they matter.
type page struct {
	left     int
	sections [sections]string
}

const (
	verdictAt = iota
	countsAt
	blastAt
	slowAt
	findingsAt
	warningsAt
	heldAt
	driftAt
	stepsAt
	deletesAt
	diffsAt
	commandsAt
	identityAt
	sections
)

// fill gives a section at most so many bytes.
func (p *page) fill(at, most int, write func(budget int) string) {
	text := write(min(most, p.left))
	p.sections[at] = text
	p.left -= len(text) + 1
}

func (r Review) body(most int) string {
	p, in := &page{left: most - sections}, markdown()
	p.fill(verdictAt, 8_000, func(n int) string { return r.writeVerdict(in, n) })
	p.fill(countsAt, 400, func(int) string { return "**Plan:** " + r.counts(in) + ".\n" })
	p.fill(commandsAt, 1_500, func(int) string { return r.writeCommands(in) })
	p.fill(identityAt, 3_000, func(n int) string { return r.writeIdentity(in, n) })
	p.fill(slowAt, 500, func(int) string { return bullets("Slow or irreversible", r.slow(), 500) })
	p.fill(findingsAt, 14_000, func(n int) string { return bullets("Problems", findings(r.Problems, in), n) })
	p.fill(warningsAt, min(4_000, p.left/3), func(n int) string { return bullets("Warnings", findings(r.Warnings, in), n) })
	p.fill(deletesAt, p.left-9_000, func(n int) string { return r.writeDeletes(n) })
	p.fill(blastAt, min(8_000, p.left/2), func(n int) string { return bullets("Host names touched", r.blast(in), n) })
	p.fill(heldAt, min(3_000, p.left/3), func(n int) string { return bullets("Held at their last good", r.heldLines(in), n) })
	p.fill(driftAt, min(4_000, p.left/3), func(n int) string { return bullets("Changed by somebody else, and overwritten", r.driftLines(in), n) })
	p.fill(stepsAt, min(6_000, p.left/2), func(n int) string { return bullets(r.stepsTitle(), r.stepLines(in), n) })
	p.fill(diffsAt, p.left, r.writeDiffs)
	var shown []string
	for _, s := range p.sections {
		if s != "" {
			shown = append(shown, s)
		}
	}
	return strings.Join(shown, "\n")
}

func (r Review) writeVerdict(in ink, most int) string {
	text := "### edgewright: " + r.headline() + "\n"
	for _, sentence := range r.unblock(in) {
		if len(text)+len(sentence)+2 > most {
			break
		}
		text += "\n" + sentence + "\n"
	}
	return text
}

// bullets is a titled list, cut where its budget ends.
func bullets(title string, items []string, most int) string {
	if len(items) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n", title)
	for i, item := range items {
		rest := fmt.Sprintf("- … and %d more\n", len(items)-i)
		if b.Len()+len(item)+3+len(rest) > most {
			if b.Len()+len(rest) > most {
				return ""
			}
			b.WriteString(rest)
			break
		}
		b.WriteString("- " + item + "\n")
	}
	return b.String()
}

func findings(problems []schema.Problem, in ink) []string {
	sorted := slices.Clone(problems)
	schema.SortProblems(sorted)
	out := make([]string, len(sorted))
	for i, p := range sorted {
		out[i] = in.code(p.Position.String()) + " " + in.prose(p.Message) + " " + in.code(string(p.Code))
		if p.Line != "" {
			out[i] += "<br>" + in.code(p.Line)
		}
		if len(p.Holds) > 1 {
			out[i] += "<br>it holds " + in.prose(p.Held(10))
		}
		if p.Hint != "" {
			out[i] += "<br>try: " + in.prose(p.Hint)
		}
		for j, also := range p.Also {
			if j == 5 {
				break
			}
			out[i] += "<br>see also " + in.code(also.String())
		}
	}
	return out
}

func (r Review) blast(in ink) []string {
	var out []string
	for _, s := range r.riskiest() {
		if text := touched(s, in); text != "" {
			out = append(out, text)
		}
	}
	return out
}

func (r Review) heldLines(in ink) []string {
	out := make([]string, len(r.Held))
	for i, h := range r.Held {
		out[i] = in.code(string(h.Service)) + ": " + in.prose(h.Why)
	}
	return out
}

func (r Review) driftLines(in ink) []string {
	var out []string
	add := func(key resource.Key, changes []string) {
		if len(changes) > 4 {
			changes = append(changes[:4:4], fmt.Sprintf("%d more", len(changes)-4))
		}
		out = append(out, in.code(key.Name)+" in "+in.code(string(key.Scope))+": "+strings.Join(changes, "; "))
	}
	for _, s := range r.Steps {
		if !s.Drift {
			continue
		}
		var changes []string
		for _, f := range s.Fields() {
			changes = append(changes, in.code(f.String()))
		}
		add(s.Key, changes)
	}
	for _, d := range r.Drift {
		var changes []string
		for _, f := range d.Fields {
			changes = append(changes, in.code(f.String()))
		}
		add(d.Key, changes)
	}
	return out
}

// progress tells whether the steps are under way or done.
func (r Review) progress() bool {
	switch r.Verdict() {
	case Applying, Applied, Waiting:
		return true
	}
	return r.has(func(s Step) bool { return s.Status != Pending })
}

func (r Review) stepsTitle() string {
	if r.progress() {
		return "Steps"
	}
	return "Roll-out"
}

// stepLines is the order of the roll-out, and from the merge on each step that is not done.
func (r Review) stepLines(in ink) []string {
	if !r.progress() {
		return r.rollout()
	}
	var out []string
	for _, is := range []StepStatus{StepFailed, StepApproval, StepWaits, StepApplying, Pending, StepDone} {
		for _, s := range r.riskiest() {
			if s.Status != is {
				continue
			}
			line := string(is)
			if is == Pending {
				line = "not begun"
			}
			line += ": " + in.code(Title(s.Step))
			if s.Why != "" {
				line += ", " + in.prose(s.Why)
			}
			out = append(out, line)
		}
	}
	return out
}

func (r Review) writeCommands(in ink) string {
	var lines []string
	if !r.merged() {
		lines = append(lines, in.code("edgewright plan")+" in a checkout, where the daemon runs, shows this again")
	}
	if v := r.Verdict(); r.Digest != "" && (v == Waiting || v == Vetoed && r.merged()) {
		lines = append(lines, in.code(r.apply())+" as a comment here, or in a terminal, lets what waits go on; it needs the right to merge")
	}
	if page := r.page(); page != "" {
		lines = append(lines, "all of it is on [the status page](<"+page+">)")
	}
	return bullets("Commands", lines, 1_500)
}

func (r Review) writeIdentity(in ink, most int) string {
	var parts []string
	for _, p := range []struct{ name, value string }{
		{"digest", r.Digest}, {"head", r.Head}, {"base", r.Base}, {"tree", r.Tree}, {"commit", r.Commit},
	} {
		if p.value != "" {
			parts = append(parts, p.name+" "+in.code(clean(p.value, 80)))
		}
	}
	text := strings.Join(parts, " · ") + "\n"
	var seen []string
	for i, scope := range slices.Sorted(maps.Keys(r.Observed)) {
		if i == 20 {
			seen = append(seen, fmt.Sprintf("%d more", len(r.Observed)-i))
			break
		}
		seen = append(seen, in.code(clean(string(scope), 80))+" at "+r.Observed[scope].UTC().Format(time.RFC3339))
	}
	if line := "\n" + observedLine + strings.Join(seen, ", ") + "\n"; len(seen) > 0 && len(text)+len(line) < most {
		text += line
	}
	return text
}
