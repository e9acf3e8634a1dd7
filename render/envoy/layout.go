package envoy

import (
	_ "embed"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/edgewright/edgewright/schema"
)

// ScopeHeader carries the scope key of a request inside the proxy: no client can set it, no upstream sees it.
const ScopeHeader = "x-edgewright-scope"

// Wild is the bucket of wildcard hosts; it also answers for every host that nobody has.
const Wild = "wild"

const (
	minBuckets = 32
	maxBuckets = 1024

	// hashModulus is the largest prime below 2^32.
	hashModulus = 4294967291
)

//go:embed name.lua
var nameLua string

//go:embed scope.lua
var scopeLua string

// Buckets is how many buckets a fleet needs: at most about 10 services and 2,000 host names in each, so that a change of one service is
// some kilobytes.
func Buckets(services, domains int) int {
	n := max(services/10, domains/2000, minBuckets)
	return min(1<<bits.Len(uint(n-1)), maxBuckets)
}

// Bucket is the bucket of a host, as the proxy computes it: letters count as lower case, a port and a final dot do not count.
func Bucket(host string, buckets int) int {
	h := uint64(0)
	for i := range nameEnd(host) {
		b := host[i]
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		h = (h*131 + uint64(b)) % hashModulus
	}
	return int(h % uint64(buckets))
}

// nameEnd is where the host's name ends: before a port and before a final dot.
func nameEnd(host string) int {
	n := len(host)
	digits := strings.TrimRight(host, "0123456789")
	if strings.HasSuffix(digits, ":") {
		n = len(digits) - 1
	}
	if n > 0 && host[n-1] == '.' {
		n--
	}
	return n
}

// BucketOf names the bucket that holds a declared host: a number, or Wild.
func (l Layout) BucketOf(host schema.Hostname) string {
	if strings.HasPrefix(string(host), "*.") {
		return Wild
	}
	return strconv.Itoa(Bucket(string(host), l.Buckets))
}

// BucketNames are all buckets of an exposure: the numbered ones in order, then Wild.
func (l Layout) BucketNames() []string {
	names := make([]string, 0, l.Buckets+1)
	for n := range l.Buckets {
		names = append(names, strconv.Itoa(n))
	}
	return append(names, Wild)
}

// ScopeName names the scope of a bucket: g1/public/17.
func (l Layout) ScopeName(exposure schema.Exposure, bucket string) string {
	return fmt.Sprintf("g%d/%s/%s", l.Generation, exposure, bucket)
}

// RouteName names the route configuration of a bucket: rc/1/public/17.
func (l Layout) RouteName(exposure schema.Exposure, bucket string) string {
	return fmt.Sprintf("rc/%d/%s/%s", l.Generation, exposure, bucket)
}

// ScopeKey is what the scope header holds for a host: 1.public.17.
func (l Layout) ScopeKey(exposure schema.Exposure, host string) string {
	return l.scopePrefix(exposure) + strconv.Itoa(Bucket(host, l.Buckets))
}

func (l Layout) scopePrefix(exposure schema.Exposure) string {
	return fmt.Sprintf("%d.%s.", l.Generation, exposure)
}

// lua is the source of the filter that sets the scope header.
func (l Layout) lua(exposure schema.Exposure) string {
	return fmt.Sprintf("local HEADER, PREFIX, BUCKETS = %q, %q, %d\n%s\n%s", ScopeHeader, l.scopePrefix(exposure), l.Buckets, nameLua, scopeLua)
}
