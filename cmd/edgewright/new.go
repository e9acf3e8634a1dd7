package main

import (
	"bytes"
	_ "embed" // the starter
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/schema"
	"github.com/edgewright/edgewright/schema/load"
)

//go:embed starter.cue.tmpl
var starter string

func newCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "new", Short: "Write a declaration to start from", Args: cobra.NoArgs}
	var dir, host string
	var internal bool
	service := &cobra.Command{
		Use:     "service TEAM/ID",
		Short:   "Write services/TEAM/ID.cue: a service that is valid at once, with a comment on everything that it may have",
		Example: "  edgewright new service jira/jira-web --dir edge-config",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file, team, id, err := fileOf(args[0])
			if err != nil {
				return fmt.Errorf("new service %s: %w", args[0], err)
			}
			commit, err := loadFolder(cmd.Context(), dir)
			if err != nil {
				return err
			}
			if slices.ContainsFunc(commit.Problems, schema.Problem.OfPlatform) {
				tellProblems(cmd.ErrOrStderr(), commit.Problems)
				return fmt.Errorf("new service %s: nothing can be checked while the platform has problems", args[0])
			}
			s, err := begin(commit.Edge, team, id, schema.Hostname(host), internal)
			if err != nil {
				return fmt.Errorf("new service %s: %w", args[0], err)
			}
			return writeStarter(cmd, dir, file, s)
		},
	}
	f := service.Flags()
	f.StringVar(&dir, "dir", ".", "folder of an edge-config checkout")
	f.StringVar(&host, "host", "", "host name; by default the service's id below a domain of the team")
	f.BoolVar(&internal, "internal", false, "for internal requests only")
	cmd.AddCommand(service)
	return cmd
}

// fileOf is the file of a service that is named TEAM/ID.
func fileOf(name string) (file string, team schema.TeamID, id schema.ServiceID, err error) {
	folder, rest, is := strings.Cut(name, "/")
	file = "services/" + folder + "/" + rest + ".cue"
	id, team = load.ServiceOf(file)
	switch {
	case is && rest == "shared":
		return "", "", "", errors.New("shared.cue is for what the services of a team share: choose another id")
	case strings.HasSuffix(rest, ".cue"):
		return "", "", "", fmt.Errorf("write it without .cue: %s", strings.TrimSuffix(name, ".cue"))
	case !is || id == "" || strings.Contains(rest, "/"):
		return "", "", "", errors.New("want TEAM/ID, as jira/jira-web")
	}
	return file, team, id, nil
}

// beginning is what a starter says.
type beginning struct {
	ID       schema.ServiceID
	Team     schema.TeamID
	Name     string
	OnCall   string
	Host     schema.Hostname
	Exposure schema.Exposure
	Fleet    schema.FleetID
}

// begin chooses what a service of the team can have in this edge.
func begin(e schema.Edge, team schema.TeamID, id schema.ServiceID, host schema.Hostname, internal bool) (beginning, error) {
	b := beginning{ID: id, Team: team, Host: host, Exposure: schema.Public, OnCall: "#" + string(team) + "-oncall"}
	if internal {
		b.Exposure = schema.Internal
	}
	t, is := e.Platform.Team(team)
	if !is {
		return b, fmt.Errorf("there is no team %s: %s", team, teamsOf(e.Platform, string(team)))
	}
	b.Name = t.Name
	if t.OnCall != "" {
		b.OnCall = t.OnCall
	}
	i := slices.IndexFunc(e.Platform.Fleets, func(f schema.Fleet) bool { _, listens := f.Listener(b.Exposure); return listens })
	if i < 0 {
		return b, fmt.Errorf("no fleet takes %s requests", b.Exposure)
	}
	b.Fleet = e.Platform.Fleets[i].ID
	if b.Host != "" {
		return b, nil
	}
	for _, d := range t.Domains {
		if _, hosted := e.Platform.ZoneFor(d, b.Exposure); hosted {
			b.Host = schema.Hostname(id) + "." + d
			return b, nil
		}
	}
	return b, fmt.Errorf("team %s has no domain in a zone that is %s: name a host with --host, or ask the platform team", team, b.Exposure)
}

func teamsOf(p schema.Platform, wrong string) string {
	var ids []string
	for _, t := range p.Teams {
		ids = append(ids, string(t.ID))
	}
	if near := schema.Nearest(wrong, ids); near != "" {
		return "did you mean " + near + "?"
	}
	return "teams here are " + strings.Join(ids, ", ")
}

func writeStarter(cmd *cobra.Command, dir, file string, b beginning) error {
	var text bytes.Buffer
	if err := template.Must(template.New("starter").Parse(starter)).Execute(&text, b); err != nil {
		return err
	}
	name := filepath.Join(dir, filepath.FromSlash(file))
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already", name)
	}
	if err := refuseStarter(cmd, dir, load.File{Path: file, Data: text.Bytes()}); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already", name)
	}
	if err != nil {
		return err
	}
	_, err = out.Write(text.Bytes())
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\nNext: write the addresses of its backend, then: edgewright validate %s\n", name, dir)
	return err
}

// refuseStarter tells what would be wrong with a service beside all others, before it is written.
func refuseStarter(cmd *cobra.Command, dir string, starter load.File) error {
	files, err := readFolder(dir)
	if err != nil {
		return err
	}
	commit, err := loadFiles(cmd.Context(), append(files, starter))
	if err != nil {
		return err
	}
	own := slices.DeleteFunc(commit.Problems, func(p schema.Problem) bool { return p.Position.File != starter.Path })
	tellProblems(cmd.ErrOrStderr(), own)
	if len(own) > 0 {
		return fmt.Errorf("%s would be refused, so it was not written: choose another id, or a host with --host", starter.Path)
	}
	return nil
}
