package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/render"
	"github.com/edgewright/edgewright/render/envoy"
	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/pages"
)

func explainCommand() *cobra.Command {
	var dir, state, method, exposure string
	var headers []string
	var asJSON, served bool
	cmd := &cobra.Command{
		Use:   "explain [HOST/PATH | CODE]",
		Short: "Say what the declarations in a folder do with a request, or what a problem means",
		Long: "With a host name and path: what the declarations in a folder do with a request, and which line says so; with --served what proxies\n" +
			"do with it now: by which commit, to which cluster and endpoints, and which proxies have it already.\n" +
			"With a code, as it stands in brackets behind a problem: what it means, why it matters, and an example. Without either: all codes.",
		Example: "  edgewright explain jira.acme.example/browse/EDGE-1 --method GET --header x-preview=on --dir edge-config\n  edgewright explain host/duplicate",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listCodes(cmd.OutOrStdout(), pages.All())
			}
			if code := asCode(args[0]); pages.Code.MatchString(code) {
				return explainCode(cmd.OutOrStdout(), code)
			}
			if word := strings.ToLower(args[0]); !strings.ContainsAny(word, "./") {
				if found := codesWith(word); len(found) > 0 {
					return listCodes(cmd.OutOrStdout(), found)
				}
			}
			r, err := requestOf(args[0], method, exposure, headers)
			if served && err == nil {
				return explainServed(cmd, state, r, headers, asJSON)
			}
			commit, failed := loadFolder(cmd.Context(), dir)
			if failed != nil {
				return failed
			}
			if s, is := commit.Edge.Service(schema.ServiceID(args[0])); is {
				return fmt.Errorf("%s is a service: edgewright show %s prints it; a request has a host name, as %s", s.ID, s.ID, cmp.Or(append(s.Hosts, "")...))
			}
			tellProblems(cmd.ErrOrStderr(), commit.Problems)
			if err != nil {
				return err
			}
			all := explainAll(commit.Edge, r)
			if asJSON {
				err = writeJSON(cmd.OutOrStdout(), all)
			} else {
				err = tellExplanations(cmd.OutOrStdout(), r, all)
			}
			return cmp.Or(err, refusedBy(commit.Problems))
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", ".", "folder of an edge-config checkout")
	f.StringVar(&method, "method", "GET", "method of the request")
	f.StringVar(&exposure, "exposure", string(schema.Public), "whose listener takes the request: public or internal")
	f.StringArrayVar(&headers, "header", nil, "name=value of a header; may be repeated")
	f.BoolVar(&served, "served", false, "ask the daemon what proxies are served, instead of a folder")
	f.BoolVar(&asJSON, "json", false, "answer in JSON")
	stateFlag(cmd, &state)
	cmd.MarkFlagsMutuallyExclusive("served", "dir")
	return cmd
}

// requestOf reads HOST/PATH, with or without a scheme and a query.
func requestOf(url, method, exposure string, headers []string) (render.Request, error) {
	r := render.Request{Method: strings.ToUpper(method), Header: map[string][]string{}, Exposure: schema.Exposure(exposure)}
	r.Host, r.Path, _ = strings.Cut(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/")
	r.Path, _, _ = strings.Cut("/"+r.Path, "?")
	if r.Host == "" || r.Exposure != schema.Public && r.Exposure != schema.Internal {
		return r, fmt.Errorf("explain %s: want HOST/PATH, and --exposure public or internal", url)
	}
	for _, h := range headers {
		name, value, is := strings.Cut(h, "=")
		if !is {
			return r, fmt.Errorf("--header %s: want name=value", h)
		}
		name = strings.ToLower(name)
		r.Header[name] = append(r.Header[name], value)
	}
	return r, nil
}

// fleetExplanation is what one fleet does with a request.
type fleetExplanation struct {
	Fleet schema.FleetID `json:"fleet"`
	render.Explanation
}

// explainAll asks every fleet that listens for the exposure, or of gRPC clients; those that have the host come alone.
func explainAll(e schema.Edge, r render.Request) []fleetExplanation {
	var all, known []fleetExplanation
	for _, f := range e.Platform.Fleets {
		if _, listens := f.Listener(r.Exposure); !listens && f.Kind != schema.GRPC {
			continue
		}
		services, hosts := 0, 0
		for _, s := range e.Services {
			if s.Fleet == f.ID {
				services, hosts = services+1, hosts+len(s.Hosts)
			}
		}
		one := fleetExplanation{f.ID, render.Explain(e, f, envoy.Layout{Generation: 1, Buckets: envoy.Buckets(services, hosts)}, r)}
		if f.Kind != schema.GRPC {
			all = append(all, one)
		}
		if one.Service != "" {
			known = append(known, one)
		}
	}
	if len(known) > 0 {
		return known
	}
	return all
}

func tellExplanations(w io.Writer, r render.Request, all []fleetExplanation) error {
	if len(all) == 0 {
		_, err := fmt.Fprintf(w, "nobody answers: no fleet listens for %s requests\n", r.Exposure)
		return err
	}
	for _, x := range all {
		tellExplanation(w, r, x.Fleet, x.Explanation)
	}
	return nil
}

func tellExplanation(w io.Writer, r render.Request, fleet schema.FleetID, x render.Explanation) {
	fmt.Fprintf(w, "%s %s%s on fleet %s (%s)\n", r.Method, x.Host, r.Path, fleet, x.Bucket)
	if x.Service == "" {
		fmt.Fprintln(w, "404: no service has this name at this edge")
		return
	}
	fmt.Fprintf(w, "  service %s, by host %s\n", x.Service, x.Name)
	for _, p := range x.Passed {
		fmt.Fprintf(w, "  not route %s: %s\n", p.Route, p.Why)
	}
	if x.Route == nil {
		fmt.Fprintf(w, "404: no route of service %s matches; declared at %s\n", x.Service, x.At)
		return
	}
	tellEdits(w, "request", x.Route.Headers.Request)
	tellEdits(w, "response", x.Route.Headers.Response)
	fmt.Fprintf(w, "%s by route %s; declared at %s\n", action(r, x), x.Route.Name, x.At)
}

func tellEdits(w io.Writer, way string, e schema.HeaderEdit) {
	if e.IsZero() {
		return
	}
	var edits []string
	for _, name := range slices.Sorted(maps.Keys(e.Set)) {
		edits = append(edits, fmt.Sprintf("set %s: %s", name, e.Set[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(e.Add)) {
		edits = append(edits, fmt.Sprintf("add %s: %s", name, e.Add[name]))
	}
	for _, name := range e.Remove {
		edits = append(edits, "remove "+name)
	}
	fmt.Fprintf(w, "  %s headers: %s\n", way, strings.Join(edits, ", "))
}

func action(r render.Request, x render.Explanation) string {
	switch a := x.Route.Action.(type) {
	case schema.Forward:
		var to []string
		for _, d := range a.To {
			to = append(to, fmt.Sprintf("%s %d%%", d.Backend, d.Weight))
		}
		return "forwarded to " + strings.Join(to, ", ")
	case schema.Redirect:
		return fmt.Sprintf("redirected with %d to %s", a.Code, location(r.Path, x.Host, a, x.Route.Match))
	case schema.Respond:
		return fmt.Sprintf("answered with %d", a.Status)
	}
	return "not answered"
}

// location is where a redirect leads; the scheme is that of the request where the redirect has none.
func location(path string, host schema.Hostname, to schema.Redirect, m schema.Match) string {
	if prefix, is := m.Path.(schema.Prefix); is && to.Prefix != "" {
		path = to.Prefix + strings.TrimPrefix(path, string(prefix))
	}
	where := cmp.Or(to.Host, host)
	if to.Scheme != "" {
		return to.Scheme + "://" + string(where) + cmp.Or(to.Path, path)
	}
	return "//" + string(where) + cmp.Or(to.Path, path)
}
