package route53

import (
	"bytes"
	"errors"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/orisano/gosax"
)

// page is a page that is being read.
type page struct{ events *gosax.Reader }

// errUnusual is what the SDK has to read.
var errUnusual = errors.New("this is no plain page of records")

// children tells of each element within one, or of the root when that has no name. Each has to read its element to the end.
func (p page) children(within string, each func(name []byte) error) error {
	for {
		e, err := p.events.Event()
		if err != nil {
			return err
		}
		switch e.Type() {
		case gosax.EventStart:
			name, _ := gosax.Name(e.Bytes)
			if err := each(name); err != nil {
				return err
			}
		case gosax.EventEnd:
			return ended(e, within)
		case gosax.EventText:
			if len(bytes.Trim(e.Bytes, " \n")) > 0 {
				return errUnusual
			}
		case gosax.EventProcessingInstruction:
			if within != "" || !slices.Contains(declarations, string(e.Bytes)) {
				return errUnusual
			}
		case gosax.EventEOF:
			if within != "" {
				return errUnusual
			}
			return nil
		default:
			return errUnusual
		}
	}
}

// declarations are how a page may begin.
var declarations = []string{`<?xml version="1.0"?>`, `<?xml version="1.0" encoding="UTF-8"?>`, `<?xml version='1.0' encoding='UTF-8'?>`}

func ended(e gosax.Event, name string) error {
	if end, _ := gosax.Name(e.Bytes); e.Type() != gosax.EventEnd || string(end) != name || name == "" {
		return errUnusual
	}
	return nil
}

// list reads elements of one name within another, of which there are about so many.
func list[T any](p page, within, each string, about int, into *[]T, read func(*T) error) error {
	if *into != nil {
		return errUnusual
	}
	*into = make([]T, 0, about)
	return p.children(within, func(name []byte) error {
		if string(name) != each {
			return errUnusual
		}
		var none T
		*into = append(*into, none)
		return read(&(*into)[len(*into)-1])
	})
}

// one reads what an element has.
func one[T any](into **T, read func(*T) error) error {
	if *into != nil {
		return errUnusual
	}
	*into = new(T)
	return read(*into)
}

// value reads an element that has nothing but printable text.
func value[T comparable](p page, name string, into *T, as func(string) (T, error)) error {
	e, err := p.events.Event()
	if err != nil || e.Type() != gosax.EventText || !printable(e.Bytes) {
		return errUnusual
	}
	plain, err := gosax.Unescape(e.Bytes)
	if err != nil {
		return errUnusual
	}
	said, err := as(string(plain))
	var none T
	if err != nil || *into != none {
		return errUnusual
	}
	*into = said
	if e, err = p.events.Event(); err != nil {
		return errUnusual
	}
	return ended(e, name)
}

// printable tells whether a text is of ASCII, and escapes no more than what XML would take for its own.
func printable(said []byte) bool {
	for i, c := range said {
		if c < ' ' || c > '~' || c == '&' && i+1 < len(said) && said[i+1] == '#' {
			return false
		}
	}
	return true
}

func text(said string) (*string, error) { return &said, nil }

func word[S ~string](said string) (S, error) { return S(said), nil }

func long(said string) (*int64, error) {
	n, err := strconv.ParseInt(said, 10, 64)
	return &n, err
}

func number(said string) (*int32, error) {
	n, err := strconv.ParseInt(said, 10, 32)
	return aws.Int32(int32(n)), err
}

func truth(said string) (bool, error) {
	if said != "true" && said != "false" {
		return false, errUnusual
	}
	return said == "true", nil
}

func choice(said string) (*bool, error) {
	is, err := truth(said)
	return &is, err
}
