// Package pages explains each kind of problem: what it means, why it matters, and an example of bad and good.
//
// It decides nothing: which problems there are is decided where they are found, and a test holds that each of them has its page.
package pages

import (
	"embed"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

//go:embed *.md
var files embed.FS

// Page explains one code.
type Page struct {
	Code  schema.Code
	Title string // one sentence
	Text  string // why, and what to do; may be empty
	Bad   []Example
	Good  []Example
}

// Example is a piece of a declaration. With a File it is the whole of that file; else it is fields of a service. What is not Runnable is
// only to be read.
type Example struct {
	File     string
	Text     string
	Runnable bool
}

// All are the pages, in the order of their codes.
func All() []Page {
	byCode := map[schema.Code]Page{}
	names, err := fs.Glob(files, "*.md")
	for _, name := range names {
		data, read := files.ReadFile(name)
		if read != nil {
			err = read
		}
		for _, section := range strings.Split("\n"+string(data), "\n# ")[1:] {
			p := parse(section)
			byCode[p.Code] = p
		}
	}
	if err != nil {
		panic("read embedded pages: " + err.Error()) // they are in the program
	}
	pages := make([]Page, 0, len(byCode))
	for _, code := range slices.Sorted(maps.Keys(byCode)) {
		pages = append(pages, byCode[code])
	}
	return pages
}

// Of finds the page of a code.
func Of(code schema.Code) (Page, bool) {
	all := All()
	i := slices.IndexFunc(all, func(p Page) bool { return p.Code == code })
	if i < 0 {
		return Page{}, false
	}
	return all[i], true
}

// Code tells whether a text looks like one.
var Code = regexp.MustCompile(`^[a-z]+/[a-z]+$`)

func parse(section string) Page {
	code, body, _ := strings.Cut(section, "\n")
	said, examples, _ := strings.Cut(body, "\nBad:\n")
	bad, good, _ := strings.Cut(examples, "\nGood:\n")
	title, text, _ := strings.Cut(strings.TrimSpace(said), "\n")
	return Page{Code: schema.Code(code), Title: title, Text: strings.TrimSpace(text), Bad: blocks(bad), Good: blocks(good)}
}

func blocks(text string) []Example {
	var all []Example
	for _, block := range strings.Split("\n"+text, "\n```")[1:] {
		kind, body, _ := strings.Cut(block, "\n")
		if kind == "" { // the end of the one before
			continue
		}
		e := Example{Text: strings.TrimRight(body, "\n") + "\n", Runnable: kind == "cue"}
		if first, rest, _ := strings.Cut(e.Text, "\n"); strings.HasPrefix(first, "// ") && strings.HasSuffix(first, ".cue") {
			e.File, e.Text = strings.TrimPrefix(first, "// "), rest
		}
		all = append(all, e)
	}
	return all
}
