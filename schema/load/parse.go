package load

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/edgewright/edgewright/schema"
)

// Bounds of one file, looked at before it is parsed.
const (
	MaxBytes  = 256 << 10
	maxDepth  = 64
	maxTokens = 100_000
)

// inspect reads the words of a file, before it is parsed. literal tells that it is made of nothing but values written out: no
// reference, operator, comprehension, import or call. Such a file needs no evaluation, takes time in proportion to its size and is
// safe to read in this process. A file that is too large or nests too deeply has a problem, and nothing more is done with it.
func inspect(f File) (literal bool, problem *schema.Problem) {
	if len(f.Data) > MaxBytes {
		return true, &schema.Problem{Code: "limit/input", Position: schema.Position{File: f.Path, Line: 1, Column: 1},
			Message: fmt.Sprintf("this file is larger than %d KiB", MaxBytes>>10), Hint: "split it: one file declares one service"}
	}
	file := token.NewFile(f.Path, -1, len(f.Data))
	var s scanner.Scanner
	literal = true
	s.Init(file, f.Data, func(token.Pos, string, []any) { literal = false }, scanner.DontInsertCommas)
	nesting, chain := 0, 0 // a: b: c: nests without brackets
	var last, before token.Token
	word := "" // just read
	for tokens := 0; ; tokens++ {
		pos, tok, text := s.Scan()
		switch tok {
		case token.EOF:
			return literal, nil
		case token.LBRACE, token.LBRACK, token.LPAREN:
			nesting++
			literal = literal && tok != token.LPAREN
		case token.RBRACE, token.RBRACK, token.RPAREN:
			nesting--
		case token.COLON:
			if before == token.COLON {
				chain++
			} else {
				chain = 0
			}
		case token.IDENT: // the word import begins an import, unless it is the name of a field
			literal = literal && !strings.HasPrefix(text, "_") && !strings.HasPrefix(text, "#")
			literal = literal && word != "import" // import x "…"
			word = text
		case token.STRING:
			literal = literal && word != "import"
		case token.INT, token.FLOAT, token.TRUE, token.FALSE, token.NULL, token.COMMA, token.COMMENT:
		default:
			literal = false
		}
		if nesting+chain > maxDepth || tokens > maxTokens {
			return true, &schema.Problem{Code: "limit/nesting", Position: position(f.Path, pos),
				Message: fmt.Sprintf("this file nests deeper than %d levels or has more than %d words", maxDepth, maxTokens),
				Hint:    "write the values out flat; a service needs about ten levels"}
		}
		if tok != token.IDENT {
			word = ""
		}
		before, last = last, tok
	}
}

func tooMuch(f File) *schema.Problem {
	_, p := inspect(f)
	return p
}

// unreadable tells of a file that is no text, or that somebody left in the middle of a merge: its words would explain neither.
func unreadable(f File) *schema.Problem {
	number := 0
	for line := range bytes.Lines(f.Data) {
		number++
		at := schema.Position{File: f.Path, Line: number, Column: 1}
		switch {
		case !utf8.Valid(line):
			return &schema.Problem{Code: "file/encoding", Position: at, Message: "this line is not UTF-8", Hint: "save the file as UTF-8"}
		case bytes.HasPrefix(line, []byte("<<<<<<< ")), bytes.HasPrefix(line, []byte(">>>>>>> ")):
			return &schema.Problem{Code: "file/conflict", Position: at, Message: "this file holds a merge conflict", Hint: "keep one of the two sides, and remove the lines that begin with <<<<<<<, ======= and >>>>>>>"}
		}
	}
	return nil
}

// parsed is a file's syntax and where each of its fields was written.
type parsed struct {
	file *ast.File
	body *ast.StructLit // without package clause and imports
	path string

	imports bool
}

// parse reads the syntax. wantPackage is what the package clause must say; empty: anything. A file that is sound was inspected already.
func parse(f File, wantPackage string, sound bool) (parsed, []schema.Problem) {
	p := unreadable(f)
	if p == nil && !sound {
		p = tooMuch(f)
	}
	if p != nil {
		return parsed{}, []schema.Problem{*p}
	}
	file, err := parser.ParseFile(f.Path, f.Data, parser.ParseComments)
	if err != nil {
		return parsed{}, syntaxProblems(f, err)
	}
	var problems []schema.Problem
	out := parsed{file: file, body: bodyOf(file), path: f.Path}
	named := false
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.Package:
			named = d.Name != nil && (d.Name.Name == wantPackage || wantPackage == "")
			if !named {
				problems = append(problems, schema.Problem{Code: "file/package", Position: position(f.Path, d.Pos()),
					Message: fmt.Sprintf("files of this folder are of package %s", wantPackage), Hint: "write: package " + wantPackage})
				named = true
			}
		case *ast.ImportDecl:
			out.imports = true
		}
	}
	if !named {
		problems = append(problems, schema.Problem{Code: "file/package", Position: schema.Position{File: f.Path, Line: 1, Column: 1},
			Message: "this file names no package", Hint: "begin with: package " + cmp.Or(wantPackage, "<name>")})
	}
	problems = append(problems, attributes(f.Path, file)...)
	return out, problems
}

// attributes refuses what an author may believe to have an effect here.
func attributes(path string, file *ast.File) []schema.Problem {
	var problems []schema.Problem
	ast.Walk(file, func(n ast.Node) bool {
		if a, is := n.(*ast.Attribute); is {
			problems = append(problems, schema.Problem{Code: "file/attribute", Position: position(path, a.Pos()),
				Message: fmt.Sprintf("%s has no effect here: nothing is embedded, tagged or injected", clip(a.Text, 40)), Hint: "remove the attribute"})
		}
		return true
	}, nil)
	return problems
}

func position(file string, p token.Pos) schema.Position {
	if !p.IsValid() {
		return schema.Position{File: file, Line: 1, Column: 1}
	}
	return schema.Position{File: file, Line: p.Line(), Column: p.Column()}
}

// syntaxProblems is one problem: what follows the first is only said because of it.
func syntaxProblems(f File, err error) []schema.Problem {
	e := errors.Errors(err)[0]
	format, args := e.Msg()
	p := schema.Problem{Code: "cue/syntax", Position: position(f.Path, e.Position()),
		Message: "this is not CUE: " + fmt.Sprintf(format, args...), Hint: "look for a missing quote, comma or bracket on this line or just before it"}
	explainSyntax(&p, f.Data)
	return []schema.Problem{p}
}
