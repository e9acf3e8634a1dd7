package load

import (
	"bytes"
	"regexp"
	"strings"

	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/edgewright/edgewright/schema"
)

// habit is something that people write who come from another language, and how CUE has it.
type habit struct {
	is   *regexp.Regexp // of a line
	hint string         // $1 is what the expression names
}

var habits = []habit{
	{regexp.MustCompile(`^\s*package\s+()"`), "a package is named without quotes: package services"},
	{regexp.MustCompile(`(?:^|\s)()#(?:[^A-Za-z_"']|$)`), "a comment begins with //"},
	{regexp.MustCompile(`()/\*`), "a comment begins with //, and ends with the line"},
	{regexp.MustCompile(`^\s*()-\s`), `a list is written in brackets, with commas: ["one", "two"]`},
	{regexp.MustCompile(`^\s*[\w"-]+\s*()=[^=~]`), "a field is written with a colon: name: value"},
	{regexp.MustCompile(`(?:^|[{,:\s])([a-zA-Z][a-zA-Z0-9]*-[a-zA-Z0-9-]*)\s*:`), `a name with a dash is put in quotes: "$1": …`},
	{regexp.MustCompile(`:\s*([0-9.]+(?:ms|s|m|h|min|sec))\b`), `a duration is put in quotes: "$1"`},
	{regexp.MustCompile(`([0-9]+)\s*%`), "a percentage is written as a number: $1"},
	{regexp.MustCompile(`[:[,]\s*([0-9]+\.[0-9]+\.[0-9]+[0-9.:]*)`), `an address is put in quotes: "$1"`},
	{regexp.MustCompile(`^\s*()[a-z]+(?:\.[a-z]+)+\s*:`), "a field within a field is written with a colon, not with a dot: path: prefix: …"},
	{regexp.MustCompile(`()[“”„‘’]`), `text is put in straight double quotes: "text"`},
	{regexp.MustCompile(`^\s*[a-zA-Z]\w*\s+()"`), "a field is written with a colon: name: value"},
	{regexp.MustCompile(`();\s*$`), "fields are divided by a comma or a new line, not by ;"},
	{regexp.MustCompile(`()'`), `text is put in double quotes: "text"`},
}

// texts are those in double quotes on a line: what is in them is no habit.
var texts = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// habitOn is how CUE has what stands on a line, and in which column that is; empty: nothing is known of it.
func habitOn(line string) (hint string, column int) {
	blank := texts.ReplaceAllStringFunc(line, func(text string) string { return `"` + strings.Repeat("x", len(text)-2) + `"` })
	code, _, _ := strings.Cut(blank, "//")
	for _, h := range habits {
		if at := h.is.FindStringSubmatchIndex(code); at != nil {
			return strings.ReplaceAll(h.hint, "$1", code[at[2]:at[3]]), at[2] + 1
		}
	}
	return "", 0
}

// explainSyntax finds out what an author meant, where the parser only knows what it had expected. It may move the problem to the line that
// is at fault.
func explainSyntax(p *schema.Problem, data []byte) {
	lines := strings.Split(string(data), "\n")
	here := p.Position.Line - 1
	switch {
	case strings.Contains(p.Message, "unknown escape sequence"):
		p.Hint = `a backslash in text is written twice: "\\d+"; or write #"\d+"#, in which it stands for itself`
		return
	case strings.Contains(p.Message, "not terminated"):
		p.Hint = "text ends with a double quote on the line that it begins on"
		return
	}
	for _, n := range []int{here, here - 1} {
		if n < 0 || n >= len(lines) {
			continue
		}
		if hint, column := habitOn(lines[n]); hint != "" {
			p.Hint = hint
			p.Position.Line, p.Position.Column = n+1, column
			return
		}
	}
	plain := texts.ReplaceAll(data, nil)
	openList := bytes.Count(plain, []byte("[")) > bytes.Count(plain, []byte("]"))
	if strings.Contains(p.Message, "missing ','") && here < len(lines) && !openList {
		p.Hint = "two values of a list, and two fields on one line, are divided by a comma"
		if strings.Contains(p.Message, "list literal") && strings.HasPrefix(lines[here][min(max(p.Position.Column-1, 0), len(lines[here])):], ":") {
			p.Hint = "a field does not stand in a list by itself: put braces around all that belongs together, [{name: …, forward: …}]"
		}
	}
	if strings.Contains(p.Message, "found '") || openList {
		if at, bracket := unclosed(data); bracket != "" {
			p.Message = "this " + bracket + " is never closed"
			p.Position.Line, p.Position.Column = at.Line, at.Column
			p.Hint = "close it; edgewright fmt aligns what belongs together"
		}
	}
}

// bareWord is text without quotes, as a host name, that CUE takes for a name or for several.
var bareWord = regexp.MustCompile(`^#?[A-Za-z0-9][\w./-]*`)

// bareAt is the text without quotes at a column of a line; empty: it may well be meant as a name.
func bareAt(line string, column int) string {
	if column < 1 || column > len(line) {
		return ""
	}
	word := strings.TrimRight(bareWord.FindString(line[column-1:]), "./-")
	if strings.HasPrefix(word, "#") && !strings.Contains(word, "-") || strings.HasPrefix(line[column-1+len(word):], ".#") || strings.HasPrefix(line[column-1+len(word):], "(") {
		return ""
	}
	return word
}

// unclosed is the bracket that is likely the one that was not closed: the innermost that is open where a line closes one of those around
// it, as its indentation tells, or at the end.
func unclosed(data []byte) (at schema.Position, bracket string) {
	type open struct {
		tok    token.Token
		at     schema.Position
		indent string
	}
	var stack []open
	lines := bytes.Split(data, []byte("\n"))
	file := token.NewFile("", -1, len(data))
	var s scanner.Scanner
	s.Init(file, data, func(token.Pos, string, []any) {}, scanner.DontInsertCommas)
	closes := map[token.Token]token.Token{token.RBRACE: token.LBRACE, token.RBRACK: token.LBRACK, token.RPAREN: token.LPAREN}
	for range maxTokens {
		pos, tok, _ := s.Scan()
		if tok == token.EOF {
			break
		}
		line := string(lines[pos.Line()-1])
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		switch tok {
		case token.LBRACE, token.LBRACK, token.LPAREN:
			stack = append(stack, open{tok, schema.Position{Line: pos.Line(), Column: pos.Column()}, indent})
		case token.RBRACE, token.RBRACK, token.RPAREN:
			if len(stack) == 0 {
				return at, ""
			}
			top := stack[len(stack)-1]
			first := len(indent)+1 == pos.Column()
			if top.tok != closes[tok] || first && top.indent != indent && len(indent) < len(top.indent) {
				return top.at, top.tok.String()
			}
			stack = stack[:len(stack)-1]
		}
	}
	if len(stack) == 0 {
		return at, ""
	}
	top := stack[len(stack)-1]
	return top.at, top.tok.String()
}
