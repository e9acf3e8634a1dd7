package load

import "github.com/edgewright/edgewright/schema"

// VendorMark is the first line of the files that Vendored holds: who finds it in a file may write the file again.
const VendorMark = "// Written by `edgewright schema vendor`, which may write it again.\n"

// Vendored are the files by which `cue vet -c ./...` judges declarations, by path in edge-config: the schema as a package, and the
// constraints that hold the declarations to it. This package needs none of them.
func Vendored() map[string][]byte {
	files := map[string][]byte{}
	for name, data := range schema.CUE() {
		files["cue.mod/pkg/"+SchemaModule+"/"+name] = append([]byte(VendorMark+"\n"), data...)
	}
	const imports = "import \"" + SchemaModule + "\"\n\n"
	files["services/"+constraintsFile] = []byte(VendorMark + "package services\n\n" + imports + "// Every declaration below this folder is a service.\nservices: [string]: v1.#Service\n")
	files["platform/"+constraintsFile] = []byte(VendorMark + "package platform\n\n" + imports + "// All files of this folder together are the platform.\nv1.#Platform\n")
	return files
}
