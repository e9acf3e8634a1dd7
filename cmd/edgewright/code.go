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

// explainCode prints the page of a code, or all codes with a sentence each.
func explainCode(out io.Writer, args []string) error {
	if len(args) == 0 {
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		for _, p := range pages.All() {
			fmt.Fprintf(w, "%s\t%s\n", p.Code, p.Title)
		}
		return w.Flush()
	}
	page, is := pages.Of(schema.Code(args[0]))
	if !is {
		var codes []string
		for _, p := range pages.All() {
			codes = append(codes, string(p.Code))
		}
		if near := schema.Nearest(args[0], codes); near != "" {
			return fmt.Errorf("there is no code %s: did you mean %s?", args[0], near)
		}
		return fmt.Errorf("there is no code %s: edgewright explain lists them; a host name has a dot", args[0])
	}
	fmt.Fprintf(out, "%s: %s\n", page.Code, page.Title)
	if page.Text != "" {
		fmt.Fprintf(out, "\n%s\n", page.Text)
	}
	tellExamples(out, "Bad", page.Bad)
	tellExamples(out, "Good", page.Good)
	if slices.Contains(policy.Waivable, page.Code) {
		_, err := fmt.Fprintf(out, "\nA service may break this rule for a time:\n\n    waivers: [{rule: %q, reason: \"…\", expires: \"2027-01-31\", approver: \"…\"}]\n\n"+
			"The platform team may relax it for all, in platform/:\n\n    rules: %q: \"warn\"\n", page.Code, page.Code)
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
