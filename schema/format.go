package schema

import (
	"strings"
	"unicode/utf8"
)

// Format is a problem as a terminal shows it: the sentence with its place, the line with a caret under the column, the other places
// that take part, the services that it holds if there are several, and what to try. It holds no escape bytes.
func Format(p Problem) string {
	var b strings.Builder
	b.WriteString(p.String())
	if p.Line != "" {
		line, at := window(p.Line, p.Position.Column-1)
		b.WriteString("\n    " + line)
		if at >= 0 && at <= len(line) {
			b.WriteString("\n    " + strings.Map(blank, line[:at]) + "^")
		}
	}
	for _, also := range p.Also {
		b.WriteString("\n    also: " + also.String())
	}
	if len(p.Holds) > 1 {
		b.WriteString("\n    holds: " + p.Held(10))
	}
	if p.Hint != "" {
		b.WriteString("\n    try: " + p.Hint)
	}
	return b.String()
}

// window is the part of a long line around a column, in bytes, and where the column is in it.
func window(line string, at int) (string, int) {
	const most = 160
	if len(line) <= most {
		return line, at
	}
	from := max(0, min(at, len(line))-most/2)
	for from > 0 && !utf8.RuneStart(line[from]) {
		from--
	}
	to := min(len(line), from+most)
	for to < len(line) && !utf8.RuneStart(line[to]) {
		to--
	}
	part := line[from:to]
	if to < len(line) {
		part += "…"
	}
	if from == 0 {
		return part, at
	}
	return "…" + part, at - from + len("…")
}

// blank keeps tabs, so that the caret stands under its column.
func blank(r rune) rune {
	switch r {
	case '\t':
		return r
	case utf8.RuneError:
		return -1
	}
	return ' '
}
