package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/edgewright/edgewright/reconciler/aws/route53"
	"github.com/edgewright/edgewright/reconciler/election"
	"github.com/edgewright/edgewright/reconciler/secret"
	"github.com/edgewright/edgewright/reconciler/xds"
)

// settings are what a daemon is told. Secrets come from the environment or from files, never from flags, which others can see.
type settings struct {
	Repository string // URL of edge-config
	Branch     string
	State      string // folder
	Web        string // address of pages, API, webhook and metrics
	XDS        string // address of the xDS server
	Admission  xds.Admission
	Poll       time.Duration
	Observe    time.Duration
	Settle     time.Duration
	Lease      time.Duration // that a leader who shows no sign of life keeps the lead
	StatusURL  string
	Envoy      string // binary that validates; empty: the one in PATH; "none": no one
	Forge      forgeSettings
	LogJSON    bool

	Route53Rate, Route53Burst float64 // what the AWS account allows
}

// forgeSettings say where pulls are. Without a repository nobody is told.
type forgeSettings struct {
	API            string // base URL; empty: GitHub
	Repository     string // owner/name
	Token          secret.Value
	WebhookSecret  secret.Value
	AppID          int64
	InstallationID int64
	AppKeyFile     string
	Login          string // our own, as comments show it; empty: asked for
}

func serveCommand() *cobra.Command {
	var s settings
	var forgeTokenFile, webhookSecretFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: make AWS and the proxies match the branch, and tell pulls what they would do",
		Long: "AWS is reached as the AWS SDK is configured: AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL and so on.\n" +
			"The forge's token is read from EDGEWRIGHT_FORGE_TOKEN or a file, the webhook's secret from EDGEWRIGHT_WEBHOOK_SECRET or a file.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if s.Forge.Token, err = secretFrom("EDGEWRIGHT_FORGE_TOKEN", forgeTokenFile); err != nil {
				return err
			}
			if s.Forge.WebhookSecret, err = secretFrom("EDGEWRIGHT_WEBHOOK_SECRET", webhookSecretFile); err != nil {
				return err
			}
			if err := s.check(); err != nil {
				return err
			}
			return serve(cmd.Context(), s, logger(cmd, s.LogJSON))
		},
	}
	f := cmd.Flags()
	stateFlag(cmd, &s.State)
	f.StringVar(&s.Repository, "repository", "", "URL of the edge-config repository (http or https)")
	f.StringVar(&s.Branch, "branch", "main", "the branch that is made true")
	f.StringVar(&s.Web, "web", "127.0.0.1:8480", "address of pages, API, webhook and metrics")
	f.StringVar(&s.XDS, "xds", "127.0.0.1:18000", "address of the xDS server")
	admissionFlags(cmd, &s.Admission)
	f.StringVar(&s.StatusURL, "status-url", "", "URL of the status page for links in comments (default: the address of --web)")
	f.StringVar(&s.Envoy, "envoy", "", "the Envoy that looks at services before they are published (default: envoy in PATH); none: only the protos' own rules are asked")
	f.DurationVar(&s.Poll, "poll", 15*time.Second, "fetch this often, also without a webhook")
	f.DurationVar(&s.Observe, "observe", time.Minute, "list each zone this often")
	f.DurationVar(&s.Settle, "settle", 2*time.Second, "ask this often whether a change to a zone has spread")
	f.Float64Var(&s.Route53Rate, "route53-rate", route53.Limits().Account.Rate, "requests a second that the AWS account may make of Route53; those made stay below")
	f.Float64Var(&s.Route53Burst, "route53-burst", route53.Limits().Account.Burst, "requests that the AWS account may make of Route53 at once after a rest")
	f.DurationVar(&s.Lease, "lease", 15*time.Second, "of several daemons on one state folder, take over from the one that leads when it shows no sign of life for so long")
	f.StringVar(&s.Forge.API, "forge-api", "", "base URL of the forge's API (default: GitHub)")
	f.StringVar(&s.Forge.Repository, "forge-repository", "", "owner/name of the repository at the forge; empty: pulls are not looked at")
	f.StringVar(&s.Forge.Login, "forge-login", "", "the login under which comments are posted (default: asked for)")
	f.StringVar(&forgeTokenFile, "forge-token-file", "", "file with the forge's token")
	f.StringVar(&webhookSecretFile, "webhook-secret-file", "", "file with the webhook's secret")
	f.Int64Var(&s.Forge.AppID, "forge-app-id", 0, "act as this GitHub App instead of by a token")
	f.Int64Var(&s.Forge.InstallationID, "forge-installation-id", 0, "installation of the GitHub App")
	f.StringVar(&s.Forge.AppKeyFile, "forge-app-key-file", "", "file with the GitHub App's private key")
	f.BoolVar(&s.LogJSON, "log-json", false, "write the log as JSON")
	return cmd
}

// check tells every fault at once.
func (s settings) check() error {
	var faults []error
	if u, err := url.Parse(s.Repository); s.Repository == "" || err != nil || u.Scheme != "http" && u.Scheme != "https" {
		faults = append(faults, fmt.Errorf("--repository: want an http or https URL, got %q", s.Repository))
	}
	if u, err := url.Parse(s.Repository); err == nil && u.User != nil {
		faults = append(faults, errors.New("--repository holds a user or password, which others could see: give the token by EDGEWRIGHT_FORGE_TOKEN"))
	}
	if r := s.Forge.Repository; r != "" && strings.Count(r, "/") != 1 {
		faults = append(faults, fmt.Errorf("--forge-repository: want owner/name, got %q", r))
	}
	if s.Forge.Repository != "" && s.Forge.Token.Empty() && s.Forge.AppID == 0 {
		faults = append(faults, errors.New("--forge-repository needs a token (EDGEWRIGHT_FORGE_TOKEN, --forge-token-file) or a GitHub App (--forge-app-id)"))
	}
	if s.Forge.AppID != 0 && (s.Forge.InstallationID == 0 || s.Forge.AppKeyFile == "") {
		faults = append(faults, errors.New("--forge-app-id needs --forge-installation-id and --forge-app-key-file"))
	}
	if s.Route53Rate <= 0 || s.Route53Burst < 1 {
		faults = append(faults, fmt.Errorf("--route53-rate and --route53-burst: %v a second and %v at once are too few: see the quotas of the account", s.Route53Rate, s.Route53Burst))
	}
	for name, d := range map[string]time.Duration{"--poll": s.Poll, "--observe": s.Observe, "--settle": s.Settle} {
		if d < 10*time.Millisecond {
			faults = append(faults, fmt.Errorf("%s: %s is too short", name, d))
		}
	}
	if s.Lease < time.Second {
		faults = append(faults, fmt.Errorf("--lease: %s is too short, want at least 1s", s.Lease))
	}
	return errors.Join(append(faults, s.Admission.Check(s.XDS))...)
}

// admissionFlags say how proxies show who they are.
func admissionFlags(cmd *cobra.Command, a *xds.Admission) {
	f := cmd.Flags()
	f.StringVar(&a.Cert, "xds-tls-cert", "", "file with the certificate of the xDS server; without one it speaks no TLS")
	f.StringVar(&a.Key, "xds-tls-key", "", "file with the key of that certificate")
	f.StringVar(&a.ClientCA, "xds-client-ca", "", "file with the authorities that vouch for certificates of proxies: URI spiffe://DOMAIN/fleet/FLEET or …/fleet/FLEET/node/NODE")
	f.StringVar(&a.TrustDomain, "xds-trust-domain", "", "the only DOMAIN that counts in such a URI (default: any that the authorities vouch for)")
	f.StringVar(&a.Names, "xds-names", "", "file with lines \"name fleet [node]\": which proxy a DNS name in a certificate stands for")
	f.StringVar(&a.Tokens, "xds-tokens", "", "file with lines \"fleet token\": proxies may show a token (authorization: Bearer …) instead of a certificate")
	f.BoolVar(&a.Anyone, "xds-anyone", false, "the network is trusted: let every proxy connect that reaches --xds, also where that is not loopback")
}

func secretFrom(env, file string) (secret.Value, error) {
	if file == "" {
		return secret.New(os.Getenv(env)), nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return secret.Value{}, fmt.Errorf("read secret: %w", err)
	}
	return secret.New(strings.TrimSpace(string(data))), nil
}

func logger(cmd *cobra.Command, asJSON bool) *slog.Logger {
	if asJSON {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
}

// serve runs the daemon until the context ends. One that another process has taken over from starts anew, and waits for its turn.
func serve(ctx context.Context, s settings, log *slog.Logger) error {
	for {
		d, err := wire(ctx, s, log)
		if err != nil {
			return err
		}
		if err := d.run(ctx); !errors.Is(err, election.ErrReplaced) || ctx.Err() != nil {
			return err
		}
		log.Warn("another process has taken over; this one waits for its turn")
	}
}
