package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/pages"
	"github.com/edgewright/edgewright/schema/policy"
)

// listCodes prints codes with a sentence each.
func listCodes(out io.Writer, all []pages.Page) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range all {
		fmt.Fprintf(w, "%s\t%s\n", p.Code, p.Title)
	}
	return w.Flush()
}

// asCode is a code as it is copied: with the brackets that stand around it, or in capitals.
func asCode(text string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "["), "]"))
}

// codesWith are the pages whose code has a word as one of its two parts, in the singular or the plural.
func codesWith(word string) []pages.Page {
	return slices.DeleteFunc(pages.All(), func(p pages.Page) bool {
		family, rest, _ := strings.Cut(string(p.Code), "/")
		word := strings.TrimSuffix(word, "s")
		return strings.TrimSuffix(family, "s") != word && strings.TrimSuffix(rest, "s") != word
	})
}

// explainCode prints the page of a code.
func explainCode(out io.Writer, code string) error {
	page, is := pages.Of(schema.Code(code))
	if !is {
		var codes []string
		for _, p := range pages.All() {
			codes = append(codes, string(p.Code))
		}
		if near := schema.Nearest(code, codes); near != "" {
			return fmt.Errorf("there is no code %s: did you mean %s?", code, near)
		}
		return fmt.Errorf("there is no code %s: edgewright explain lists them; a host name has a dot", code)
	}
	fmt.Fprintf(out, "%s: %s\n", page.Code, page.Title)
	if page.Text != "" {
		fmt.Fprintf(out, "\n%s\n", page.Text)
	}
	tellExamples(out, "Bad", page.Bad)
	tellExamples(out, "Good", page.Good)
	if slices.Contains(policy.Waivable, page.Code) {
		_, err := fmt.Fprintf(out, "\nA service may break this rule for a time:\n\n    waivers: [{rule: %q, reason: \"…\", expires: \"2027-01-31\", approver: \"…\"}]\n\n"+
			"The platform team may relax it for all, in platform/, to \"warn\" or \"off\":\n\n    rules: %q: \"off\"\n", page.Code, page.Code)
		return err
	}
	return nil
}

func tellExamples(out io.Writer, title string, examples []pages.Example) {
	for _, e := range examples {
		where := ""
		if e.File != "" {
			where = ", in " + e.File
		}
		fmt.Fprintf(out, "\n%s%s:\n\n", title, where)
		for _, line := range strings.Split(strings.TrimRight(e.Text, "\n"), "\n") {
			fmt.Fprintln(out, strings.TrimRight("    "+line, " "))
		}
	}
}
