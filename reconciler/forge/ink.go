package forge

import (
	"strings"
	"unicode"
)

// ink is how words that others wrote are put down, so that they stay words.
type ink struct {
	code  func(string) string // names, values, commands
	prose func(string) string // sentences
	bold  func(string) string // ours
}

// markdown writes for a forge: nothing in it can end a fence, open a tag, mention a person, or link.
func markdown() ink {
	return ink{code: codeSpan, prose: prose, bold: func(s string) string { return "**" + s + "**" }}
}

const (
	longest = 300 // characters of one value
	zero    = "\u200b"
)

// clean is the text on one line, without characters that are not seen or that turn the line around, cut to a length.
func clean(s string, most int) string {
	var b strings.Builder
	n, space := 0, false
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = n > 0
			continue
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			continue
		}
		if n >= most {
			b.WriteString("…")
			return b.String()
		}
		if space {
			b.WriteByte(' ')
			n, space = n+1, false
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

// codeSpan is the text as it is, between more backticks than it holds in a row.
func codeSpan(s string) string {
	s = clean(s, longest)
	if s == "" {
		return "``" + " " + "``"
	}
	ticks := strings.Repeat("`", backticks(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// backticks is the longest row of them.
func backticks(s string) int {
	most, n := 0, 0
	for _, r := range s {
		if r != '`' {
			n = 0
			continue
		}
		n++
		most = max(most, n)
	}
	return most
}

// prose is the text with everything escaped that Markdown or a forge would make something of. It must not begin a line or an item.
func prose(s string) string {
	s = clean(s, 2*longest)
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '&':
			b.WriteString("&amp;")
		case strings.ContainsRune("\\`*_{}[]+!|~$=^", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '@':
			b.WriteString("@" + zero)
		case r == '#':
			b.WriteString(`\#` + zero)
		case linksBefore(s, i):
			b.WriteRune(r)
			b.WriteString(zero)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// linksBefore tells whether what ends with the character at i would begin a link that a forge makes by itself.
func linksBefore(s string, i int) bool {
	switch s[i] {
	case ':':
		return strings.HasPrefix(s[i+1:], "/") || hasSuffixFold(s[:i], "mailto") || hasSuffixFold(s[:i], "xmpp")
	case '.':
		return hasSuffixFold(s[:i], "www")
	case '-':
		return hasSuffixFold(s[:i], "gh")
	}
	return false
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// fence puts lines between more backticks than any of them holds.
func fence(language string, lines string) string {
	ticks := strings.Repeat("`", max(3, backticks(lines)+1))
	return ticks + language + "\n" + strings.TrimSuffix(lines, "\n") + "\n" + ticks + "\n"
}
