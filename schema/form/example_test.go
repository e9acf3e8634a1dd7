package form

import (
	"bytes"
	"encoding/json"
	"testing"

	"cuelang.org/go/cue/cuecontext"

	"github.com/edgewright/edgewright/schema"
)

// TestExamplesFit holds that what hints show of each definition has its form.
func TestExamplesFit(t *testing.T) {
	s, err := Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Names() {
		if faults := s[name].Check(parsed(t, s[name].example(9))); len(faults) > 0 {
			t.Errorf("%s is shown as %s: %v", name, s[name].example(9), faults)
		}
	}
}

// TestWrap holds that a value is put where it fits, as far down as that is, and that the whole then has its form.
func TestWrap(t *testing.T) {
	s, err := Read(schema.CUE())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		form  string
		value any
		want  string
	}{
		{"HealthCheck", "/up", `{path: "/up"}`},
		{"Forward", "main", `{to: [{backend: "main"}]}`},
		{"Match", "/api", `{path: {prefix: "/api"}}`},
		{"Retries", json.Number("2"), `{attempts: 2, on: ["connect-failure"]}`},
		{"Respond", json.Number("404"), `{status: 404}`},
		{"Owner", "trello", `{team: "trello"}`},
		{"Redirect", "/new", `{path: "/new"}`},
		{"Forward", json.Number("2"), ""},
		{"HealthCheck", true, ""},
	} {
		got := s.Of(c.form).wrap(c.value)
		if got != c.want {
			t.Errorf("%v in %s is %s, want %s", c.value, c.form, got, c.want)
		}
		if got == "" {
			continue
		}
		if faults := s.Of(c.form).Check(parsed(t, got)); len(faults) > 0 {
			t.Errorf("%s does not fit %s: %v", got, c.form, faults)
		}
	}
}

// parsed is a value of CUE as encoding/json reads it.
func parsed(t *testing.T, text string) any {
	t.Helper()
	data, err := cuecontext.New().CompileString(text).MarshalJSON()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}
