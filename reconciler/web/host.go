package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// named refuses what came to a loopback address under a name that is not this machine's. A page elsewhere whose name was made to
// point here (DNS rebinding) is the same origin to a browser, so that only the name gives it away. A server on other addresses
// cannot know its names and takes all.
func (s *server) named(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if onLoopback(r) && !s.mine(r.Host) {
			http.Error(w, "this server is only known as localhost or by its address, not under the name that was asked for", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func onLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// mine tells whether a Host header names this machine: an address cannot be rebound, and browsers keep localhost to themselves.
func (s *server) mine(host string) bool {
	name := host
	if bare, _, err := net.SplitHostPort(host); err == nil {
		name = bare
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.Contains(s.Hosts, name) || slices.Contains(s.Hosts, host)
}
