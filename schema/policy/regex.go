package policy

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

const (
	maxRegex   = 1 << 10 // characters
	maxProgram = 100     // Envoy's re2.max_program_size.error_level, where its own configuration does not raise it
)

// regexFault says why the proxies would not take an expression; empty: they take it.
func regexFault(expression string) (fault, hint string) {
	if len(expression) > maxRegex {
		return fmt.Sprintf("a regex has at most %d characters, this one has %d", maxRegex, len(expression)), "match a prefix, or split the route"
	}
	parsed, err := syntax.Parse(expression, syntax.Perl)
	if err != nil {
		return "this is not a regex: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "), "the syntax is RE2's: no look-around, no back-references"
	}
	if class := unicodeClass(expression); class != "" {
		return fmt.Sprintf("a path is ASCII, the class %s is not", class), "write the characters out, as [A-Za-z0-9]: all others are percent-encoded in a path"
	}
	if size := programSize(parsed); size > maxProgram {
		return fmt.Sprintf("this regex compiles to about %d steps, the proxies take %d at most", size, maxProgram), "each character and each repetition counts: match a prefix, or write + in the place of {36}"
	}
	return "", ""
}

// unicodeClass is the first \p{…} of an expression. Go knows names there that RE2 does not, and none of them is of use for a path.
func unicodeClass(expression string) string {
	for i := 0; i+1 < len(expression); i++ {
		if expression[i] != '\\' {
			continue
		}
		if next := expression[i+1]; next == 'p' || next == 'P' {
			class := expression[i:min(i+3, len(expression))]
			if end := strings.IndexByte(expression[i:], '}'); strings.HasSuffix(class, "{") && end > 0 {
				class = expression[i : i+end+1]
			}
			return class
		}
		i++
	}
	return ""
}

// programSize is how many instructions RE2 compiles an expression to, for single bytes as Envoy has it: one for each range of a class,
// each choice and each end of a group, and four around the whole. It is what Envoy says, or a little more.
func programSize(re *syntax.Regexp) int { return 4 + instructions(re) }

func instructions(re *syntax.Regexp) int {
	below := 0
	for _, sub := range re.Sub {
		below += instructions(sub)
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(string(re.Rune)) // in UTF-8
	case syntax.OpCharClass:
		ranges := 0
		for i := 0; i < len(re.Rune); i += 2 {
			if i == 0 || re.Rune[i] <= 0xff {
				ranges++
			}
		}
		return max(ranges, 1)
	case syntax.OpAnyCharNotNL:
		return 2
	case syntax.OpAnyChar, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return 1
	case syntax.OpCapture:
		return below + 2
	case syntax.OpQuest:
		return below + 1
	case syntax.OpStar, syntax.OpPlus:
		return below + loop(re.Sub[0])
	case syntax.OpAlternate:
		for _, branch := range re.Sub {
			if openEnded(branch) { // its end is one more step
				below++
			}
		}
		return below + len(re.Sub) - 1
	case syntax.OpRepeat:
		if re.Max < 0 {
			return max(re.Min, 1)*below + loop(re.Sub[0])
		}
		return re.Max*below + re.Max - re.Min
	}
	return below
}

// openEnded tells whether an expression may end earlier or later.
func openEnded(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return true
	case syntax.OpConcat:
		return openEnded(re.Sub[len(re.Sub)-1])
	case syntax.OpCapture:
		return openEnded(re.Sub[0])
	case syntax.OpAlternate:
		return slices.ContainsFunc(re.Sub, openEnded)
	}
	return false
}

// loop is what going round costs: one step back, and one more where there are several ways to its end.
func loop(body *syntax.Regexp) int {
	switch body.Op {
	case syntax.OpLiteral, syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	}
	return 2
}

// expression is a path's regular expression as proxies match it, the whole path; nil: they do not take it.
func (x *index) expression(r schema.Regex) *regexp.Regexp {
	if known, is := x.expressions[r]; is {
		return known
	}
	var whole *regexp.Regexp
	if fault, _ := regexFault(string(r)); fault == "" {
		whole, _ = regexp.Compile("^(?:" + string(r) + ")$")
	}
	if len(x.expressions) >= mostExpressions {
		clear(x.expressions)
	}
	x.expressions[r] = whole
	return whole
}

const mostExpressions = 10_000 // that are kept compiled

// sample is a text that an expression is likely to match: of choices the first, of repetitions the fewest.
func sample(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for i := 0; i < len(re.Rune); i += 2 { // a letter where there is one
			if re.Rune[i] <= 'x' && 'x' <= re.Rune[i+1] {
				return "x"
			}
		}
		if len(re.Rune) > 0 {
			return string(re.Rune[0])
		}
	case syntax.OpAnyCharNotNL, syntax.OpAnyChar:
		return "x"
	case syntax.OpCapture, syntax.OpPlus:
		return sample(re.Sub[0])
	case syntax.OpRepeat:
		return strings.Repeat(sample(re.Sub[0]), re.Min)
	case syntax.OpAlternate:
		return sample(re.Sub[0])
	case syntax.OpConcat:
		var text strings.Builder
		for _, sub := range re.Sub {
			text.WriteString(sample(sub))
		}
		return text.String()
	}
	return ""
}
