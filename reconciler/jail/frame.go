package jail

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/edgewright/edgewright/schema/load"
)

// A frame is its length as four bytes, most significant first, and that many bytes of JSON.
const frameHeader = 4

// framing is what a frame may hold beside the file or the result that its limit is about.
const framing = 4096

var errFrameTooLarge = errors.New("frame is larger than allowed")

// ready answers the limits: the child is confined and its schema compiled, or why not.
type ready struct {
	Error string `json:"error,omitempty"`
}

// answer is the result for one file. Path repeats the file's.
type answer struct {
	Path   string      `json:"path"`
	Result load.Result `json:"result"`
}

// readFrame allocates no more than twice what has arrived, whatever length the header claims.
func readFrame(r io.Reader, limit int, v any) error {
	var header [frameHeader]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return err
	}
	size := int64(binary.BigEndian.Uint32(header[:]))
	if size > int64(limit) {
		return fmt.Errorf("%w: %d of %d bytes", errFrameTooLarge, size, limit)
	}
	body, err := io.ReadAll(io.LimitReader(r, size))
	if err != nil {
		return err
	}
	if int64(len(body)) < size {
		return io.ErrUnexpectedEOF
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("decode frame: %w", err)
	}
	return nil
}

// writeFrame writes header and body at once: a reader never sees the one without the other on its way.
func writeFrame(w io.Writer, limit int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode frame: %w", err)
	}
	if len(body) > limit {
		return fmt.Errorf("%w: %d of %d bytes", errFrameTooLarge, len(body), limit)
	}
	frame := make([]byte, frameHeader, frameHeader+len(body))
	binary.BigEndian.PutUint32(frame, uint32(len(body)))
	_, err = w.Write(append(frame, body...))
	return err
}

// inputFrame is the largest frame of a file of that size: JSON holds its bytes in base64.
func inputFrame(input int) int { return input/3*4 + framing }
