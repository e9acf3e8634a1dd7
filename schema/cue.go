package schema

import _ "embed" // the language in which people declare

// The CUE that declarations must obey, one file beside each group of nouns; together they are one package.
var (
	//go:embed service.cue
	serviceCUE []byte
	//go:embed backend.cue
	backendCUE []byte
	//go:embed route.cue
	routeCUE []byte
	//go:embed platform.cue
	platformCUE []byte
	//go:embed record.cue
	recordCUE []byte
	//go:embed healthcheck.cue
	healthcheckCUE []byte
	//go:embed freeze.cue
	freezeCUE []byte
	//go:embed tls.cue
	tlsCUE []byte
)

// CUE is the schema as CUE files by name, of package schema.
func CUE() map[string][]byte {
	return map[string][]byte{
		"service.cue": serviceCUE, "backend.cue": backendCUE, "route.cue": routeCUE, "platform.cue": platformCUE, "freeze.cue": freezeCUE,
		"record.cue": recordCUE, "healthcheck.cue": healthcheckCUE, "tls.cue": tlsCUE,
	}
}
