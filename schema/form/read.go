package form

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"
)

// Read reads the definitions of a package of CUE files, by name.
func Read(files map[string][]byte) (Schema, error) {
	r := &reader{schema: Schema{}, bodies: map[string]ast.Expr{}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := parser.ParseFile(name, files[name], parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse schema: %w", err)
		}
		if err := r.define(file); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.bodies)) {
		if err := r.fill(r.schema[name], r.bodies[name]); err != nil {
			return nil, fmt.Errorf("read #%s: %w", name, err)
		}
	}
	return r.schema, nil
}

type reader struct {
	schema Schema
	bodies map[string]ast.Expr
}

// define notes the definitions of a file, so that they may refer to each other in any order.
func (r *reader) define(file *ast.File) error {
	for _, d := range file.Decls {
		field, is := d.(*ast.Field)
		if !is {
			continue
		}
		label, _, err := ast.LabelName(field.Label)
		name, isDefinition := strings.CutPrefix(label, "#")
		if err != nil || !isDefinition {
			return fmt.Errorf("%s: only definitions are understood", field.Pos())
		}
		r.schema[name] = &Form{Name: name, Doc: doc(field)}
		r.bodies[name] = field.Value
	}
	return nil
}

// doc is the comment above a node, as one line of text.
func doc(n ast.Node) string {
	var words []string
	for _, group := range ast.Comments(n) {
		if group.Doc || group.Line {
			words = append(words, strings.Fields(group.Text())...)
		}
	}
	return strings.Join(words, " ")
}

// fill reads an expression into a form that has nothing but its name.
func (r *reader) fill(f *Form, e ast.Expr) error {
	switch e := e.(type) {
	case *ast.StructLit:
		return r.group(f, e)
	case *ast.ListLit:
		return r.list(f, e)
	case *ast.Ident:
		return r.named(f, e)
	case *ast.ParenExpr:
		return r.fill(f, e.X)
	case *ast.BasicLit:
		return choice(f, e)
	case *ast.UnaryExpr:
		return bound(f, e)
	case *ast.BinaryExpr:
		return r.binary(f, e)
	}
	return fmt.Errorf("%s: %T is not understood", e.Pos(), e)
}

func (r *reader) group(f *Form, e *ast.StructLit) error {
	f.Kind, f.Fields = Group, map[string]*Field{}
	for _, d := range e.Elts {
		field, is := d.(*ast.Field)
		if !is {
			return fmt.Errorf("%s: %T in a group is not understood", d.Pos(), d)
		}
		value, err := r.form(field.Value)
		if err != nil {
			return err
		}
		if keys, is := field.Label.(*ast.ListLit); is && len(keys.Elts) == 1 {
			if f.Keys, err = r.form(keys.Elts[0]); err != nil {
				return err
			}
			f.Values = value
			continue
		}
		name, _, err := ast.LabelName(field.Label)
		if err != nil {
			return err
		}
		if field.Constraint == token.ILLEGAL {
			return fmt.Errorf("%s: field %s says neither ? nor !", field.Pos(), name)
		}
		f.Fields[name] = &Field{Form: value, Required: field.Constraint == token.NOT, Doc: doc(field)}
		f.Order = append(f.Order, name)
	}
	return nil
}

// form is the form of an expression: a definition itself where it only names one.
func (r *reader) form(e ast.Expr) (*Form, error) {
	if ident, is := e.(*ast.Ident); is {
		if name, isDefinition := strings.CutPrefix(ident.Name, "#"); isDefinition {
			if known := r.schema[name]; known != nil {
				return known, nil
			}
			return nil, fmt.Errorf("%s: #%s is not defined", ident.Pos(), name)
		}
	}
	f := &Form{}
	return f, r.fill(f, e)
}

func (r *reader) list(f *Form, e *ast.ListLit) (err error) {
	f.Kind = List
	if len(e.Elts) != 1 {
		return fmt.Errorf("%s: a list is written [...T]", e.Pos())
	}
	rest, is := e.Elts[0].(*ast.Ellipsis)
	if !is {
		return fmt.Errorf("%s: a list is written [...T]", e.Pos())
	}
	f.Items, err = r.form(rest.Type)
	return err
}

func (r *reader) named(f *Form, e *ast.Ident) error {
	switch e.Name {
	case "string":
		f.Kind = Text
	case "int":
		f.Kind, f.Whole = Number, true
	case "number":
		f.Kind = Number
	case "bool":
		f.Kind = Flag
	case "_":
		f.Kind = Any
	default:
		name := strings.TrimPrefix(e.Name, "#")
		body, known := r.bodies[name]
		if !known {
			return fmt.Errorf("%s: %s is not defined", e.Pos(), e.Name)
		}
		return r.fill(f, body)
	}
	return nil
}

// binary reads A & B, which both hold, and A | B, which are choices, or a value and what to say when it does not fit.
func (r *reader) binary(f *Form, e *ast.BinaryExpr) error {
	if call, is := e.Y.(*ast.CallExpr); is && e.Op == token.OR {
		message, err := sentence(call)
		if err != nil {
			return err
		}
		f.Message = message
		return r.fill(f, e.X)
	}
	if e.Op != token.AND && e.Op != token.OR {
		return fmt.Errorf("%s: %s is not understood", e.Pos(), e.Op)
	}
	if err := r.fill(f, e.X); err != nil {
		return err
	}
	return r.fill(f, e.Y)
}

func sentence(call *ast.CallExpr) (string, error) {
	fun, is := call.Fun.(*ast.Ident)
	if !is || fun.Name != "error" || len(call.Args) != 1 {
		return "", fmt.Errorf("%s: want error(\"…\")", call.Pos())
	}
	text, is := call.Args[0].(*ast.BasicLit)
	if !is {
		return "", fmt.Errorf("%s: want error(\"…\")", call.Pos())
	}
	return literal.Unquote(text.Value)
}

func choice(f *Form, e *ast.BasicLit) error {
	text := e.Value
	switch e.Kind {
	case token.INT:
		f.Kind, f.Whole = Number, true
	case token.STRING:
		unquoted, err := literal.Unquote(text)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Pos(), err)
		}
		f.Kind, text = Text, unquoted
	default:
		return fmt.Errorf("%s: %s is not understood", e.Pos(), e.Value)
	}
	f.Choices = append(f.Choices, text)
	return nil
}

// bound reads =~"…", >=n, <=n and !="".
func bound(f *Form, e *ast.UnaryExpr) error {
	lit, is := e.X.(*ast.BasicLit)
	if !is {
		return fmt.Errorf("%s: %s is not understood", e.Pos(), e.Op)
	}
	switch e.Op {
	case token.MAT, token.NEQ:
		text, err := literal.Unquote(lit.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Pos(), err)
		}
		if e.Op == token.NEQ && text != "" {
			return fmt.Errorf("%s: only !=\"\" is understood", e.Pos())
		}
		if e.Op == token.NEQ {
			text = "(?s)^.+$"
		}
		f.Kind = Text
		if f.Pattern, err = regexp.Compile(text); err != nil {
			return fmt.Errorf("%s: %w", e.Pos(), err)
		}
		return nil
	case token.GEQ, token.LEQ:
		n, err := strconv.ParseFloat(lit.Value, 64)
		if err != nil {
			return fmt.Errorf("%s: %w", e.Pos(), err)
		}
		if e.Op == token.GEQ {
			f.Min = &n
		} else {
			f.Max = &n
		}
		f.Kind = Number
		return nil
	}
	return fmt.Errorf("%s: %s is not understood", e.Pos(), e.Op)
}
