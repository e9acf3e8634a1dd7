package envoy

import (
	"strings"
	"testing"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"github.com/edgewright/edgewright/schema"
)

var bound = schema.TLS{Default: "modern", Policies: []schema.TLSPolicy{
	{ID: "deep", Hosts: []schema.Hostname{"*.a.b.test", "one.b.test"}},
	{ID: "modern"},
	{ID: "wide", Hosts: []schema.Hostname{"*.b.test", "x.a.b.test"}},
}}

// FuzzPolicy holds the proxy's own source to what the declaration means.
func FuzzPolicy(f *testing.F) {
	for _, host := range []string{"", "b.test", "one.b.test", "ONE.b.test.:443", "x.a.b.test", "y.a.b.test", "z.y.a.b.test", "y.b.test", "c.test", ".b.test", "..", "[::1]:443"} {
		f.Add(host)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
			t.Skip("only this Lua, not the proxy's, has lower case beyond ASCII")
		}
		state := lua.NewState()
		defer state.Close()
		if err := state.DoString(policyLua(bound, bound.Policies[1])); err != nil {
			t.Fatal(err)
		}
		if err := state.CallByParam(lua.P{Fn: state.GetGlobal("policy"), NRet: 1, Protect: true}, lua.LString(host)); err != nil {
			t.Fatal(err)
		}
		if got, want := state.Get(-1).String(), string(bound.Policy(plain(host))); got != want {
			t.Errorf("host %q: lua says %s, go says %s", host, got, want)
		}
	})
}

// plain is a host as declarations write it.
func plain(host string) schema.Hostname {
	lower := []byte(host[:nameEnd(host)])
	for i, b := range lower {
		if b >= 'A' && b <= 'Z' {
			lower[i] = b + 'a' - 'A'
		}
	}
	return schema.Hostname(lower)
}

func TestPolicyOfAHost(t *testing.T) {
	for host, want := range map[schema.Hostname]schema.PolicyID{
		"b.test": "modern", "one.b.test": "deep", "y.b.test": "wide", "y.x.b.test": "wide", "y.a.b.test": "deep", "x.a.b.test": "wide", "*.b.test": "wide", "*.c.test": "modern",
	} {
		if got := bound.Policy(host); got != want {
			t.Errorf("%s has policy %s, want %s", host, got, want)
		}
	}
}
