package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/exec"

	"github.com/edgewright/edgewright/reconciler"
	"github.com/edgewright/edgewright/reconciler/validate"
)

// noEnvoy is the --envoy of who wants none.
const noEnvoy = "none"

// newValidator is what judges services before they are published, and why Envoy is not asked; empty: it is.
func newValidator(ctx context.Context, binary string, metrics *reconciler.Metrics, log *slog.Logger) (v *validate.Validator, without string, err error) {
	c := validate.Config{Ran: metrics.Ran}
	switch found, missing := exec.LookPath("envoy"); {
	case binary == noEnvoy:
		without = "it is switched off by --envoy none"
	case binary != "":
		c.Binary = binary
	case missing != nil:
		without = "there is no envoy in PATH; give one with --envoy"
	default:
		c.Binary = found
	}
	if v, err = validate.New(ctx, c); err != nil {
		return nil, "", fmt.Errorf("%w; give another with --envoy, or --envoy none", err)
	}
	if without != "" {
		log.Warn("services are not validated by Envoy before they are published, only by the protos' own rules: " + without)
	}
	return v, without, nil
}
