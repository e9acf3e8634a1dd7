package forge

import (
	"fmt"
	"strings"

	"github.com/edgewright/edgewright/reconciler/plan"
	"github.com/edgewright/edgewright/render/resource"
)

const (
	lineWidth = 110
	mostFrame = 900 // bytes of what stands around a list: title, fences, the rest
)

// writeDeletes lists every deletion, as short as it can be said: by scope, with what the scope says already left out.
func (r Review) writeDeletes(most int) string {
	n := r.count(verb(plan.Delete))
	if n == 0 {
		return ""
	}
	var b strings.Builder
	column, group, listed := 0, "", 0
	room := most - mostFrame
	for _, s := range r.riskiest() {
		if s.Verb != plan.Delete {
			break
		}
		in, name := shortName(s.Key)
		text := " "
		switch {
		case in != group:
			text, column = pick(listed+1, "", "\n")+clean(in, 120)+":\n  ", 0
		case column+len(name) > lineWidth:
			text, column = "\n  ", 0
		}
		if b.Len()+len(text)+len(name) > room {
			break
		}
		b.WriteString(text + name)
		column, group, listed = column+len(name)+1, in, listed+1
	}
	if b.Len() == 0 {
		return ""
	}
	rest := ""
	if listed < n {
		rest = fmt.Sprintf("\n… and %d more, all of them on the status page.\n", n-listed)
	}
	return fmt.Sprintf("**Deletes** (%d)\n\n", n) + fence("", b.String()) + rest
}

// shortName divides a key into a group, said once, and what differs in it.
func shortName(k resource.Key) (group, name string) {
	name = strings.ReplaceAll(clean(k.Name, longest), " ", "_")
	if k.Kind != resource.DNSRecord {
		return Noun(k.Kind) + "s in " + string(k.Scope), name
	}
	kind, rest, ok := strings.Cut(clean(k.Name, longest), " ")
	if !ok {
		return "records in " + string(k.Scope), name
	}
	host, set, _ := strings.Cut(rest, " ")
	zone, _ := k.Scope.Zone()
	if label, inside := strings.CutSuffix(host, "."+string(zone)); inside && label != "" {
		host = label
	}
	return kind + " records in " + string(k.Scope), strings.ReplaceAll(strings.TrimSpace(host+" "+set), " ", "_")
}

// writeDiffs folds the diffs away, riskiest first: each in full while there is room, then by name, then by number.
func (r Review) writeDiffs(most int) string {
	steps := r.riskiest()
	if len(steps) == 0 {
		return ""
	}
	var b strings.Builder
	room := most - mostFrame
	byName := 0
	for i, s := range steps {
		text := diffLines(s)
		left := room - b.Len()
		if reserve := 60 * min(len(steps)-i-1, 100); len(text) > left-reserve {
			text = heading(s)
			byName++
		}
		if len(text) > left {
			if b.Len() == 0 {
				return ""
			}
			return fold(steps, b.String(), fmt.Sprintf("… and %s more.", plural(len(steps)-i, "step", "steps")))
		}
		b.WriteString(text)
	}
	if byName > 0 {
		return fold(steps, b.String(), fmt.Sprintf("%s only by name, for want of room.", plural(byName, "step is shown", "steps are shown")))
	}
	return fold(steps, b.String(), "")
}

func fold(steps []Step, lines, rest string) string {
	text := fmt.Sprintf("<details><summary>Diff of %s, riskiest first</summary>\n\n", plural(len(steps), "step", "steps"))
	text += fence("diff", lines)
	if rest != "" {
		text += "\n" + rest + "\n"
	}
	return text + "\n</details>\n"
}
