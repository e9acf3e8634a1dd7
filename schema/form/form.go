// Package form is the schema as data: which fields a group has, which it must have, and what their values look like. It is read
// from the CUE that authors vendor, so that there is one source of it.
//
// It understands the plain kind of CUE that the schema is written in and refuses all other; it evaluates nothing.
package form

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Kind is what a value is.
type Kind string

const (
	Group  Kind = "group"  // of fields
	List   Kind = "list"   // of Items
	Text   Kind = "text"   // that matches Pattern, or is one of Choices
	Number Kind = "number" // within Min and Max, or one of Choices
	Flag   Kind = "flag"   // true or false
	Any    Kind = "any"
)

// Form is what a value must look like.
type Form struct {
	Name string // of the definition without #, where it has one
	Doc  string // the comment above it
	Kind Kind

	Fields map[string]*Field // of a group
	Order  []string          // of the fields, as written
	Keys   *Form             // of a group whose fields are named by the author; else nil
	Values *Form

	Items *Form // of a list

	Pattern *regexp.Regexp
	Whole   bool // a number without a fraction
	Min     *float64
	Max     *float64
	Choices []string // numbers in decimal
	Message string   // what is told when a value does not fit, beginning with the field's name or "a …"
}

// Field is one field of a group.
type Field struct {
	Form     *Form
	Required bool
	Doc      string
}

// Schema is every definition by its name without #.
type Schema map[string]*Form

// Names are the definitions in order.
func (s Schema) Names() []string { return slices.Sorted(maps.Keys(s)) }

// Of finds a definition. A name that is not there is a fault of the program.
func (s Schema) Of(name string) *Form {
	f := s[name]
	if f == nil {
		panic(fmt.Sprintf("schema has no #%s", name))
	}
	return f
}
