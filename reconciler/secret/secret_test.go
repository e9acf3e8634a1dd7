package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"
)

const text = "hunter2-the-token"

type holder struct {
	Shown  Value
	hidden Value
	deep   map[string][]*Value
}

// TestInvariant12SecretsCannotBePrinted holds the type to the design: no formatter, encoder or logger gives the text away.
func TestInvariant12SecretsCannotBePrinted(t *testing.T) {
	v := New(text)
	h := holder{Shown: v, hidden: v, deep: map[string][]*Value{"k": {&v}}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%10.3s"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, v, &v, h, &h)
	}
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("said", "value", v, "pointer", &v, "holder", h, slog.Group("g", "v", v))
	}
	for _, x := range []any{v, &v, h, map[string]Value{"k": v}} {
		data, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(data)
		_ = xml.NewEncoder(&out).Encode(x)
	}
	if err := template.Must(template.New("").Parse(`{{.Shown}} {{printf "%v" .}}`)).Execute(&out, h); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(&out, errors.Join(fmt.Errorf("send %v: %w", v, errors.New("no"))), v.String(), v.GoString())
	hex := fmt.Sprintf("%x", text)
	if got := out.String(); strings.Contains(got, "hunter2") || strings.Contains(strings.ToLower(got), hex) {
		t.Errorf("the secret was printed:\n%s", got)
	}
	if !strings.Contains(out.String(), redacted) {
		t.Error("nothing stands in its place")
	}
}

func TestReveal(t *testing.T) {
	if got := New(text).Reveal(); got != text {
		t.Errorf("got %q", got)
	}
	if v := (Value{}); !v.Empty() || v.Reveal() != "" || !New("").Empty() || New(text).Empty() {
		t.Error("emptiness is told wrongly")
	}
}

func TestIs(t *testing.T) {
	for _, c := range []struct {
		secret, shown string
		want          bool
	}{{text, text, true}, {text, "hunter2", false}, {text, "", false}, {"", "", false}} {
		if got := New(c.secret).Is(c.shown); got != c.want {
			t.Errorf("%q shown for %q: %v", c.shown, c.secret, got)
		}
	}
}
