package envoy

import "testing"

func TestBuckets(t *testing.T) {
	for _, c := range []struct{ services, domains, want int }{
		{0, 0, 32}, {320, 700, 32}, {321, 700, 32}, {330, 700, 64}, {1_000, 1_000, 128}, {5_000, 20_000, 512},
		{10, 1_000_000, 512}, {1_000_000, 1_000_000, 1024},
	} {
		if got := Buckets(c.services, c.domains); got != c.want {
			t.Errorf("%d services, %d domains: %d buckets, want %d", c.services, c.domains, got, c.want)
		}
	}
}

func TestNamesHoldGenerationExposureAndBucket(t *testing.T) {
	l := Layout{Generation: 3, Buckets: 32}
	names := l.BucketNames()
	if len(names) != 33 || names[0] != "0" || names[31] != "31" || names[32] != Wild {
		t.Errorf("buckets %v", names)
	}
	if got := l.BucketOf("*.acme.example"); got != Wild {
		t.Errorf("a wildcard is in bucket %s", got)
	}
	if got, want := l.ScopeKey("public", "JIRA.acme.example.:8080"), l.ScopeKey("public", "jira.acme.example"); got != want {
		t.Errorf("scope key %s, want %s: case, port and final dot do not count", got, want)
	}
	bucket := l.BucketOf("jira.acme.example")
	for got, want := range map[string]string{
		l.ScopeName("public", bucket):             "g3/public/" + bucket,
		l.RouteName("internal", bucket):           "rc/3/internal/" + bucket,
		l.ScopeKey("public", "jira.acme.example"): "3.public." + bucket,
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
