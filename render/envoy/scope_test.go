package envoy

import (
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// FuzzBucket holds the proxy's own source to Bucket.
func FuzzBucket(f *testing.F) {
	for _, host := range []string{"", "a", "jira.edge.test", "JIRA.Edge.Test.:8080", "[::1]:80", ".", ":", "a..", "\xff\x00Z:9"} {
		f.Add(host, uint8(0))
	}
	f.Fuzz(func(t *testing.T, host string, size uint8) {
		l := Layout{Generation: 1, Buckets: 32 << (size % 6)}
		state := lua.NewState()
		defer state.Close()
		if err := state.DoString(l.lua("public")); err != nil {
			t.Fatal(err)
		}
		if err := state.CallByParam(lua.P{Fn: state.GetGlobal("bucket"), NRet: 1, Protect: true}, lua.LString(host)); err != nil {
			t.Fatal(err)
		}
		if got, want := int(lua.LVAsNumber(state.Get(-1))), Bucket(host, l.Buckets); got != want {
			t.Errorf("host %q: lua says %d, go says %d", host, got, want)
		}
	})
}
