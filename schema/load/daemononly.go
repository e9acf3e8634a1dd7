package load

import "github.com/edgewright/edgewright/schema"

// DaemonOnly are the codes that this program tells and `cue vet` with the vendored schema does not: rules that hold between declarations,
// what the light kind of CUE of the schema leaves to Go, and what only a running daemon can know. The list is closed: a test runs both
// over all declarations that there are.
var DaemonOnly = []schema.Code{
	"backend/address", "backend/health", "backend/local", "backend/location", "backend/loop", "backend/twice", "budget/hosts",
	"budget/regexes", "budget/routes", "exposure/opened", "field/date", "field/deprecated", "field/duration", "field/name", "file/attribute",
	"file/case", "file/ignored", "file/package", "file/place", "file/private", "file/shared", "file/unfit", "fleet/address",
	"fleet/addresses", "fleet/bound", "fleet/certificate", "fleet/exposure", "fleet/grpc", "fleet/listeners", "fleet/policies", "fleet/policy", "fleet/port", "fleet/unknown", "healthcheck/account", "healthcheck/form", "healthcheck/target", "header/both", "header/reserved", "host/certificate", "host/domain",
	"host/duplicate", "host/length", "host/none", "host/protected", "host/record", "host/removed", "host/twice", "host/wildcard", "host/zone",
	"limit/commit", "limit/crash", "limit/input", "limit/memory", "limit/nesting", "limit/output", "limit/problems", "limit/time",
	"owner/oncall", "owner/team", "platform/approver", "platform/defaults", "platform/duplicate", "platform/freeze", "platform/name",
	"platform/none", "platform/pattern", "platform/render", "platform/rule", "record/alias", "record/apex", "record/cname", "record/form", "record/health",
	"record/name", "record/routing", "record/ttl", "record/value", "record/zone", "redirect/dangling", "redirect/loop", "route/action",
	"route/backend", "route/forward", "route/name", "route/none", "route/path", "route/redirect", "route/regex", "route/respond",
	"route/retries", "route/star", "route/unreachable", "route/weight", "schema/decode", "service/duplicate", "service/exposure",
	"service/fleet", "service/id", "service/place", "service/render", "service/team", "service/tier", "team/domain", "waiver/approver",
	"waiver/expired", "waiver/expiry", "waiver/rule", "zone/account", "zone/name",
}
