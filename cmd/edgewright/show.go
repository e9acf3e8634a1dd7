package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
)

func showCommand() *cobra.Command {
	var dir string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show SERVICE",
		Short:   "Print the whole declaration of a service, defaults included, and where each value comes from",
		Example: "  edgewright show jira-web --dir edge-config",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			commit, err := loadFolder(cmd.Context(), dir)
			if err != nil {
				return err
			}
			own := slices.DeleteFunc(commit.Problems, func(p schema.Problem) bool { return !p.OfPlatform() && !p.Concerns(schema.ServiceID(args[0])) })
			tellProblems(cmd.ErrOrStderr(), own)
			s, is := commit.Edge.Service(schema.ServiceID(args[0]))
			switch {
			case !is && len(own) > 0:
				return exitCode(exitRefused)
			case !is:
				return noService(commit.Edge, args[0])
			}
			values, err := valuesOf(s)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), values)
			}
			if err := tellValues(cmd.OutOrStdout(), s, values); err != nil {
				return err
			}
			return refusedBy(own)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "folder of an edge-config checkout")
	cmd.Flags().BoolVar(&asJSON, "json", false, "answer in JSON")
	return cmd
}

func noService(e schema.Edge, id string) error {
	var ids []string
	for _, s := range e.Services {
		ids = append(ids, string(s.ID))
	}
	for _, s := range e.Services {
		_, last, _ := strings.Cut(id, "/")
		if last == string(s.ID) || s.Source.File == strings.TrimPrefix(id, "./") || slices.Contains(s.Hosts, schema.Hostname(id)) {
			return fmt.Errorf("a service is named by its id: edgewright show %s", s.ID)
		}
	}
	if near := schema.Nearest(id, ids); near != "" {
		return fmt.Errorf("there is no service %s here: did you mean %s?", id, near)
	}
	return fmt.Errorf("there is no service %s here: edgewright validate tells how many there are, and their files lie in services/<team>/", id)
}

// value is one value of a declaration and where it comes from.
type value struct {
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value"`
	From  string          `json:"from"`
}

// valuesOf are the values of a service with all defaults, in the order in which a declaration is written.
func valuesOf(s schema.Service) ([]value, error) {
	builtIn := schema.Platform{Defaults: schema.DefaultsOf{All: schema.BuiltIn}, Source: schema.Source{File: "built in"}}
	s = builtIn.Complete(s)
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(data, &tree); err != nil {
		return nil, err
	}
	byName := map[string]any{}
	for _, b := range s.Backends {
		item, _ := tree["backends"].([]any)[len(byName)].(map[string]any)
		delete(item, "id")
		byName[string(b.ID)] = item
	}
	tree["backends"] = byName
	var values []value
	for _, field := range []string{"owner", "tier", "hosts", "exposure", "fleet", "backends", "routes", "waivers"} {
		if v, there := tree[field]; there {
			values = flatten(values, s.Source, field, v)
		}
	}
	return values, nil
}

func flatten(values []value, source schema.Source, path string, v any) []value {
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		if i := slices.Index(names, "name"); i > 0 { // what something is called comes first
			names = slices.Insert(slices.Delete(names, i, i+1), 0, "name")
		}
		for _, name := range names {
			values = flatten(values, source, path+"."+name, v[name])
		}
	case []any:
		for i, item := range v {
			values = flatten(values, source, fmt.Sprintf("%s[%d]", path, i), item)
		}
	default:
		data, err := json.Marshal(v)
		if err != nil {
			panic("encode what was decoded: " + err.Error())
		}
		values = append(values, value{path, data, origin(source, path)})
	}
	return values
}

// origin is the place of a value. One that was not written anywhere is built in, or the folder's.
func origin(source schema.Source, path string) string {
	if at, written := source.At[path]; written {
		return at.String()
	}
	nearest := source.Find(path)
	switch {
	case strings.HasPrefix(nearest.File, "platform/"): // a default of several values, as retries
		return nearest.String()
	case path == "owner.team":
		return "the folder"
	}
	return "built in"
}

func tellValues(out io.Writer, s schema.Service, values []value) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "services: %q:\n", s.ID)
	for _, v := range values {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", v.Path, strings.ReplaceAll(string(v.Value), "\t", `\t`), v.From)
	}
	return w.Flush()
}
