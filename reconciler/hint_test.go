package reconciler

import "testing"

// TestHintsPending: of hints that come while a fetch is under way the newest commit is kept, whatever else comes.
func TestHintsPending(t *testing.T) {
	r := New(Config{})
	for _, commit := range []string{"", "one", "", "two", ""} {
		r.Hint(commit)
	}
	if got := <-r.hints; got.commit != "two" {
		t.Errorf("%q is pending, want two", got.commit)
	}
	if len(r.hints) != 0 {
		t.Error("more than one is pending")
	}
}
