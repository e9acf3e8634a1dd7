package schema

import (
	"strings"
	"unicode/utf8"
)

// Format is a problem as a terminal shows it: the sentence with its place, the line with a caret under the column, the other places
// that take part, and what to try. It holds no escape bytes.
func Format(p Problem) string {
	var b strings.Builder
	b.WriteString(p.String())
	if p.Line != "" {
		b.WriteString("\n    " + p.Line)
		if at := p.Position.Column - 1; at >= 0 && at <= len(p.Line) {
			b.WriteString("\n    " + strings.Map(blank, p.Line[:at]) + "^")
		}
	}
	for _, also := range p.Also {
		b.WriteString("\n    also: " + also.String())
	}
	if p.Hint != "" {
		b.WriteString("\n    try: " + p.Hint)
	}
	return b.String()
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
