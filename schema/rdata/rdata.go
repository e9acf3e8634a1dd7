// Package rdata judges the values of DNS records as Route53 takes them, in presentation form, and writes texts in it.
//
// It knows nothing of what else is in a zone: schema/policy judges declarations together, reconciler/aws/route53 what is observed.
package rdata

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// MaxText is how many characters a TXT value may have (AWS, "Supported DNS record types").
const MaxText = 4000

// Wrong says what is wrong with a value of a type; empty: nothing. Types that are not declared are not judged.
func Wrong(kind, v string) string {
	switch kind {
	case "A":
		if addr, err := netip.ParseAddr(v); err != nil || !addr.Is4() {
			return fmt.Sprintf("%q is not an IPv4 address", v)
		}
	case "AAAA":
		if addr, err := netip.ParseAddr(v); err != nil || !addr.Is6() || addr.Zone() != "" {
			return fmt.Sprintf("%q is not an IPv6 address", v)
		}
	case "CNAME", "NS":
		return wrongName(v)
	case "MX":
		return wrongFields(v, "a priority and a name, as 10 mail.acme.example", 1)
	case "SRV":
		return wrongFields(v, "a priority, a weight, a port and a name, as 10 5 443 sip.acme.example", 3)
	case "CAA":
		return wrongCAA(v)
	case "TXT":
		return wrongText(v)
	}
	return ""
}

// wrongName judges a name that a value points to.
func wrongName(v string) string {
	name := strings.TrimSuffix(v, ".")
	if name == "" || len(name) > 253 {
		return fmt.Sprintf("%q is not a name", v)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return fmt.Sprintf("%q has a label that is empty or longer than 63 characters", v)
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return fmt.Sprintf("%q is not a name: it holds %q", v, c)
			}
		}
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return fmt.Sprintf("%q is an address, want a name", v)
	}
	return ""
}

// wrongFields judges numbers of 16 bits with a name behind them.
func wrongFields(v, want string, numbers int) string {
	fields := strings.Fields(v)
	if len(fields) != numbers+1 || strings.Join(fields, " ") != v {
		return fmt.Sprintf("%q is not %s", v, want)
	}
	for _, f := range fields[:numbers] {
		if _, err := strconv.ParseUint(f, 10, 16); err != nil {
			return fmt.Sprintf("%q is not %s: %s is not between 0 and 65535", v, want, f)
		}
	}
	return wrongName(fields[numbers])
}

// wrongCAA judges flags, a tag and a quoted value.
func wrongCAA(v string) string {
	const want = `flags, a tag and a value in double quotes, as 0 issue "ca.example"`
	fields := strings.SplitN(v, " ", 3)
	if len(fields) != 3 {
		return fmt.Sprintf("%q is not %s", v, want)
	}
	if _, err := strconv.ParseUint(fields[0], 10, 8); err != nil {
		return fmt.Sprintf("%q is not %s: the flags are not between 0 and 255", v, want)
	}
	if !slices.Contains([]string{"issue", "issuewild", "iodef"}, fields[1]) {
		return fmt.Sprintf("%q is not %s: the tag is issue, issuewild or iodef", v, want)
	}
	text := fields[2]
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' || strings.Contains(text[1:len(text)-1], `"`) {
		return fmt.Sprintf("%q is not %s", v, want)
	}
	return ""
}

// wrongText checks strings in double quotes, at most 255 characters each, divided by spaces.
func wrongText(v string) string {
	if len(v) > MaxText {
		return fmt.Sprintf("a text of %d characters is longer than %d", len(v), MaxText)
	}
	quoted, length, strings := false, 0, 0
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c == '"':
			quoted, length = !quoted, 0
			if quoted {
				strings++
			}
		case !quoted && c != ' ':
			return fmt.Sprintf("%q is not in double quotes", v)
		case quoted:
			if c == '\\' {
				i += escape(v[i+1:])
			}
			if length++; length > 255 {
				return "a text has a string of more than 255 characters"
			}
		}
	}
	if quoted || strings == 0 {
		return fmt.Sprintf("%q is not in double quotes", v)
	}
	return ""
}

// escape is how many characters behind a backslash belong to it: three digits, or one character.
func escape(rest string) int {
	if len(rest) >= 3 && isOctal(rest[0]) && isOctal(rest[1]) && isOctal(rest[2]) {
		return 3
	}
	return 1
}

func isOctal(c byte) bool { return c >= '0' && c <= '7' }

// Text is a text in presentation form: in double quotes, divided into strings of 255 characters, with everything that is not
// printable ASCII as \ooo.
func Text(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for i := 0; i < len(text); i++ {
		if i > 0 && i%255 == 0 {
			out.WriteString(`" "`)
		}
		switch c := text[i]; {
		case c == '"' || c == '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&out, `\%03o`, c)
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte('"')
	return out.String()
}
