package shelf

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestShelf(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	s, err := Open(dir, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, there := s.Get("abc1"); there {
		t.Error("an empty shelf has something")
	}
	s.Put("abc1", []byte("one"))
	s.Put("abc2", nil)
	s.Put("abc1", []byte("other"))
	for key, want := range map[string]string{"abc1": "other", "abc2": ""} {
		if got, there := s.Get(key); !there || string(got) != want {
			t.Errorf("%s is %q, %v", key, got, there)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ab", "c1"), []byte("half of what was written, but longer than a hash is"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, there := s.Get("abc1"); there {
		t.Errorf("a damaged file answers %q", got)
	}
	if _, err := Open(dir, now.Add(29*24*time.Hour), s.log); err != nil {
		t.Fatal(err)
	}
	if _, there := s.Get("abc2"); !there {
		t.Error("it was forgotten too early")
	}
	if _, err := Open(dir, now.Add(31*24*time.Hour), s.log); err != nil {
		t.Fatal(err)
	}
	if _, there := s.Get("abc2"); there {
		t.Error("it was never forgotten")
	}
}
