package web

import (
	"bytes"
	"html/template"
	"strings"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
)

// markdown renders a comment as the forge does and lets through only what reviews are made of: no identifiers, which this page's
// script looks for, no forms, and no images, which would be fetched from elsewhere.
func markdown(text string) template.HTML {
	table := extension.NewTable(extension.WithTableCellAlignMethod(extension.TableCellAlignAttribute))
	render := goldmark.New(goldmark.WithExtensions(table, extension.Strikethrough, extension.Linkify), goldmark.WithRendererOptions(html.WithUnsafe()))
	var out bytes.Buffer
	if err := render.Convert([]byte(text), &out); err != nil {
		return template.HTML("<pre>" + template.HTMLEscapeString(text) + "</pre>")
	}
	allow := bluemonday.NewPolicy()
	allow.AllowElements(strings.Fields("p br hr h1 h2 h3 h4 h5 h6 strong em b i del sub sup code pre blockquote ul ol li details summary table thead tbody tr th td")...)
	allow.AllowAttrs("align").Matching(bluemonday.CellAlign).OnElements("th", "td")
	allow.AllowStandardURLs()
	allow.AllowURLSchemes("http", "https")
	allow.AllowRelativeURLs(false)
	allow.AllowAttrs("href").OnElements("a")
	allow.RequireNoReferrerOnLinks(true)
	return template.HTML(allow.SanitizeBytes(out.Bytes()))
}
