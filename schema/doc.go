// Package schema holds the nouns that people declare: services with their host names, backends and routes, and the platform's
// teams, fleets and zones; and Problem, a fault in a declaration told with its place.
//
// It is not a parser and knows no CUE: schema/load reads files into these types, schema/policy judges them together.
package schema
