package web

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"

	"github.com/edgewright/edgewright/schema/load"
)

// unfitRecord says in the header of a file why it could not be read.
const unfitRecord = "EDGEWRIGHT.unfit"

// Archive writes declarations as the tar archive that POST /api/v1/plan takes.
func Archive(w io.Writer, files []load.File) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Size: int64(len(f.Data)), Mode: 0o644}
		if f.Unfit != "" {
			h.PAXRecords = map[string]string{unfitRecord: f.Unfit}
		}
		if err := archive.WriteHeader(h); err != nil {
			return fmt.Errorf("archive %s: %w", f.Path, err)
		}
		if _, err := archive.Write(f.Data); err != nil {
			return fmt.Errorf("archive %s: %w", f.Path, err)
		}
	}
	return archive.Close()
}

// readArchive reads an archive of declarations of at most limit bytes, or answers why not.
func readArchive(w http.ResponseWriter, r *http.Request, limit int64) ([]load.File, bool) {
	files, err := unpack(http.MaxBytesReader(w, r.Body, limit))
	var large *http.MaxBytesError
	switch {
	case err == nil:
		return files, true
	case errors.As(err, &large):
		http.Error(w, fmt.Sprintf("the request is larger than %d bytes", limit), http.StatusRequestEntityTooLarge)
	default:
		http.Error(w, "the request is no tar archive of declarations: "+err.Error(), http.StatusBadRequest)
	}
	return nil, false
}

func unpack(r io.Reader) ([]load.File, error) {
	archive := tar.NewReader(r)
	var files []load.File
	for {
		h, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF):
			return files, nil
		case err != nil:
			return nil, err
		case h.Typeflag == tar.TypeDir:
			continue
		case h.Typeflag != tar.TypeReg:
			files = append(files, load.File{Path: path.Clean(h.Name), Unfit: "it is a symbolic link or another special file"})
			continue
		}
		data := make([]byte, 0, min(h.Size, load.MaxBytes+1))
		f := load.File{Path: path.Clean(h.Name), Unfit: h.PAXRecords[unfitRecord]}
		for len(data) < cap(data) && err == nil {
			var n int
			n, err = archive.Read(data[len(data):cap(data)])
			data = data[:len(data)+n]
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", h.Name, err)
		}
		f.Data = data // one byte more than it may have says that it is too large
		files = append(files, f)
	}
}
