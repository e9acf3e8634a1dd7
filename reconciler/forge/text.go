package forge

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/schema"
)

// Terminal is how a review is written for one.
type Terminal struct {
	Colour bool // else there is not a single escape
	Full   bool // all fields of all steps; else what is destroyed or replaced in full, and the rest as far as one looks
}

// How much of what only adds or changes is told where not all is asked for.
const (
	mostServices = 20
	mostSteps    = 8 // of one service
	mostLines    = 8 // of one step
	mostItems    = 10
)

// terminal writes for a terminal, with colours or without a single escape.
func terminal(colour bool) ink {
	plain := func(s string) string { return clean(s, 2*longest) }
	return ink{code: plain, prose: plain, bold: func(s string) string { return paint(colour, "1", s) }}
}

func paint(colour bool, code, s string) string {
	if !colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Text is the review for a terminal: what is destroyed or replaced, in full; then the diffs by service, each step with what it waits for;
// then what to know, how long it takes, and last the verdict and the counts. Problems are only counted: whoever has the files shows them
// with their lines.
func Text(r Review, t Terminal) string {
	w := &writer{Review: r, Terminal: t, waits: plan.Waits(stepsOf(r.Steps))}
	w.destroyed()
	w.byService()
	in := terminal(t.Colour)
	w.paragraph("Held at their last good:", r.heldLines(in))
	w.paragraph("Changed by somebody else, and overwritten:", r.driftLines(in))
	w.paragraph("Slow or irreversible:", r.slow())
	for _, sentence := range r.unblock(in) {
		w.line(sentence)
	}
	if estimate := r.estimate(); estimate != "" {
		w.line("Estimated time until all of it is in effect: " + estimate)
	}
	if r.Digest != "" {
		w.line("digest " + clean(r.Digest, 80))
	}
	shade := map[Conclusion]string{Success: "32", Failure: "31", ActionRequired: "33", Neutral: "33", Running: "36"}[r.conclusion()]
	w.line(paint(t.Colour, "1;"+shade, r.headline()) + ": " + r.counts(in))
	return w.out.String()
}

// writer writes one review.
type writer struct {
	Review
	Terminal
	out   strings.Builder
	waits [][]plan.Wait // by step
}

func (w *writer) line(s string) { w.out.WriteString(s + "\n") }

func (w *writer) heading(s string) { w.line(paint(w.Colour, "1;4", s)) }

// destroyed writes the steps that take something away, riskiest first, with all of their fields.
func (w *writer) destroyed() {
	order := w.riskiestFirst()
	if len(order) == 0 || risk(w.Steps[order[0]]) > takes {
		return
	}
	w.heading("Destroyed or replaced:")
	for _, i := range order {
		if risk(w.Steps[i]) <= takes {
			w.step(i, true)
		}
	}
	w.line("")
}

// byService writes all other steps, service by service and the platform's last, each service's in the order in which they are made.
func (w *writer) byService() {
	services := map[schema.ServiceID][]int{}
	for _, i := range w.asMade() {
		if s := w.Steps[i]; risk(s) > takes {
			services[s.Service] = append(services[s.Service], i)
		}
	}
	names := slices.SortedFunc(maps.Keys(services), func(a, b schema.ServiceID) int {
		if (a == "") != (b == "") {
			return pickOrder(a == "")
		}
		return strings.Compare(string(a), string(b))
	})
	for n, name := range names {
		if n == mostServices && !w.Full {
			left := 0
			for _, other := range names[n:] {
				left += len(services[other])
			}
			w.line(fmt.Sprintf("… and %s in %s more; --full shows them\n", plural(left, "step", "steps"), plural(len(names)-n, "service", "services")))
			return
		}
		w.heading(pick(len(name)+1, "Platform", clean(string(name), longest)) + ":")
		for k, i := range services[name] {
			if k == mostSteps && !w.Full {
				w.line(fmt.Sprintf("  … and %s more; --full shows them", plural(len(services[name])-k, "step", "steps")))
				break
			}
			w.step(i, w.Full)
		}
		w.line("")
	}
}

func pickOrder(last bool) int {
	if last {
		return 1
	}
	return -1
}

// asMade are the steps, by their place, in the order in which they can be made: what others wait for first.
func (w *writer) asMade() []int {
	depth := make([]int, len(w.Steps))
	var deep func(i int) int
	deep = func(i int) int {
		if depth[i] > 0 {
			return depth[i]
		}
		depth[i] = 1 // for who comes here again by a circle
		for _, wait := range w.waits[i] {
			if !wait.Until.AtOnce() {
				depth[i] = max(depth[i], deep(wait.On)+1)
			}
		}
		return depth[i]
	}
	order := make([]int, len(w.Steps))
	for i := range order {
		order[i] = i
		deep(i)
	}
	slices.SortStableFunc(order, func(a, b int) int {
		if depth[a] != depth[b] {
			return depth[a] - depth[b]
		}
		return w.Steps[a].Key.Compare(w.Steps[b].Key)
	})
	return order
}

func (w *writer) step(i int, full bool) {
	s := w.Steps[i]
	line := Title(s.Step)
	if s.Status != Pending {
		line += ": " + string(s.Status)
	}
	if s.Why != "" {
		line += ", " + clean(s.Why, longest)
	}
	w.line("  " + paint(w.Colour, "1", line))
	lines := fieldLines(s)
	for n, field := range lines {
		if n == mostLines && len(lines) > mostLines+2 && !full {
			w.line(fmt.Sprintf("    … and %s more; --full shows them", plural(len(lines)-n, "line", "lines")))
			break
		}
		code := "33"
		switch field[0] {
		case '-':
			code = "31"
		case '+':
			code = "32"
		}
		w.line("    " + paint(w.Colour, code, field))
	}
	if wait := w.waitLine(w.waits[i]); wait != "" && s.Status == Pending {
		w.line("    " + paint(w.Colour, "36", wait))
	}
}

func (w *writer) paragraph(title string, items []string) {
	if len(items) == 0 {
		return
	}
	w.line(title)
	for i, item := range items {
		if i == mostItems && !w.Full {
			w.line(fmt.Sprintf("  … and %d more; --full shows them", len(items)-i))
			break
		}
		w.line("  " + item)
	}
}
