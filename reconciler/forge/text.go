package forge

import (
	"fmt"
	"strings"
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

// Text is the review for a terminal: the diffs, least risky first, then what to know, and last the verdict and the counts.
// Problems are only counted: whoever has the files shows them with their lines.
func Text(r Review, colour bool) string {
	var b strings.Builder
	in := terminal(colour)
	steps := r.riskiest()
	for i := len(steps) - 1; i >= 0; i-- {
		writeStep(&b, steps[i], colour)
	}
	if len(steps) > 0 {
		b.WriteByte('\n')
	}
	paragraph(&b, "Held at their last good:", r.heldLines(in))
	paragraph(&b, "Changed by somebody else, and overwritten:", r.driftLines(in))
	paragraph(&b, "Slow or irreversible:", r.slow())
	for _, sentence := range r.unblock(in) {
		b.WriteString(sentence + "\n")
	}
	if r.Digest != "" {
		b.WriteString("digest " + clean(r.Digest, 80) + "\n")
	}
	shade := map[Conclusion]string{Success: "32", Failure: "31", ActionRequired: "33", Neutral: "33", Running: "36"}[r.conclusion()]
	fmt.Fprintf(&b, "%s: %s\n", paint(colour, "1;"+shade, r.headline()), r.counts(in))
	return b.String()
}

func writeStep(b *strings.Builder, s Step, colour bool) {
	line := title(s)
	if s.Status != Pending {
		line += ": " + string(s.Status)
	}
	if s.Why != "" {
		line += ", " + clean(s.Why, longest)
	}
	b.WriteString(paint(colour, "1", line) + "\n")
	for _, field := range strings.Split(strings.TrimSuffix(diffLines(s), "\n"), "\n")[1:] {
		code := "33"
		switch field[0] {
		case '-':
			code = "31"
		case '+':
			code = "32"
		}
		b.WriteString("  " + paint(colour, code, field) + "\n")
	}
}

func paragraph(b *strings.Builder, title string, items []string) {
	if len(items) == 0 {
		return
	}
	b.WriteString(title + "\n")
	for _, item := range items {
		b.WriteString("  " + item + "\n")
	}
}
