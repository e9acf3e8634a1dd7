package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"net/http"
	"time"
)

//go:embed static/style.css
var style []byte

//go:embed static/live.js
var script []byte

//go:embed static/icon.svg
var icon []byte

// asset serves one embedded file. Browsers ask each time whether it is still the same, so that none runs an old script.
func asset(content []byte, kind string) http.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-cache")
		h.Set("Content-Type", kind+"; charset=utf-8")
		h.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}
