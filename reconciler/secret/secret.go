// Package secret holds values that cannot be printed, logged or posted: tokens, keys and webhook secrets.
//
// It does not read, store or encrypt them: cmd reads them, and whoever sends one says so by calling Reveal.
package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Value is a secret. The zero value is the empty one. Every way to turn it into text but Reveal gives a placeholder, also where
// it lies in an unexported field, which fmt prints without asking: the text is behind a function, into which nothing can look.
type Value struct{ reveal func() string }

// New makes a secret of text.
func New(text string) Value {
	if text == "" {
		return Value{}
	}
	return Value{func() string { return text }}
}

// Reveal is the text, for the one place that sends it.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// Is tells whether a text is the secret, in a time that tells nothing of either, not even the length. An empty secret is no text's.
func (v Value) Is(text string) bool {
	x, y := sha256.Sum256([]byte(text)), sha256.Sum256([]byte(v.Reveal()))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1 && !v.Empty()
}

// Empty tells whether there is no secret.
func (v Value) Empty() bool { return v.reveal == nil }

func (v Value) String() string               { return redacted }
func (v Value) GoString() string             { return redacted }
func (v Value) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (v Value) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Format prints the placeholder for every verb.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }
