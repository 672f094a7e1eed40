// Package persisted reads the files in which tools keep persisted operations:
// those of Apollo, Relay, graphql-codegen, gql.tada, Hive and Cosmo. One
// detector tells them apart. It is pure: bytes in, operations and problems out.
package persisted

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/planwarm/planwarm/manifest"
)

// Format is the shape of a file.
type Format string

// The formats.
const (
	FormatApollo    Format = "apollo"     // format, version, operations: a list of id, name, type, body
	FormatCosmo     Format = "cosmo"      // operations: a list of request and client, as the warm-up manifest
	FormatCosmoPQL  Format = "cosmo-pql"  // version, revision, operations: an object of sha256 to text
	FormatCosmoFile Format = "cosmo-file" // version, body: one file for each operation, named by its sha256
	FormatPairs     Format = "pairs"      // a list of id and text, as Relay writes
	FormatMap       Format = "map"        // an object of id to text: Relay, graphql-codegen, gql.tada, Hive
)

// File is what was read of one file.
type File struct {
	Name       string
	Format     Format
	Operations []Operation // in the file's order
	Problems   []Problem   // entries that were refused; the others are in Operations
}

// Operation is one persisted operation that is fit for use.
type Operation struct {
	Entry  string           // where it is in the file
	ID     string           // as in the file; "" for an entry of Cosmo's that names none
	IDKind IDKind           //
	Name   string           // of the operation in Text; "" for an anonymous one
	Sent   string           // operationName that goes with it: Name, or what a request of Cosmo's says
	Text   string           // exactly as in the file
	Client *manifest.Client // that it belongs to; nil when the file names none
}

// SHA256 is the id as routers take it in a request, 64 lower-case hexadecimal
// digits, or "" when the id is no such hash.
func (o Operation) SHA256() string {
	if o.IDKind != IDSHA256 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(o.ID, prefixSHA256))
}

// Problem is an entry that was refused. Neither field holds text of an operation.
type Problem struct {
	Entry  string `json:"entry"`
	Reason string `json:"reason"`
}

// String is the problem on one line.
func (p Problem) String() string { return p.Entry + ": " + p.Reason }

// Read reads one file. name is the file's name: it is in every error, and the
// id of an operation that has a file of its own. What is wrong with one entry
// is in Problems; the error, which wraps manifest.ErrFormat, ErrMalformed or
// ErrTooLarge, is for a file of which nothing can be used.
func Read(name string, data []byte) (File, error) {
	r := reader{File: File{Name: name}, seen: map[identity]string{}}
	if err := r.read(data); err != nil {
		return File{}, fmt.Errorf("read persisted operations: %s: %w", name, err)
	}
	return r.File, nil
}

func (r *reader) read(data []byte) error {
	if len(data) > manifest.MaxBytes {
		return fmt.Errorf("%w: more than %d bytes", manifest.ErrTooLarge, manifest.MaxBytes)
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\uFEFF")))
	if !json.Valid(data) {
		return fmt.Errorf("%w: not one JSON document", manifest.ErrMalformed)
	}
	switch data[0] {
	case '[':
		return r.pairs(data)
	case '{':
		return r.object(data)
	}
	return fmt.Errorf("%w: neither an object nor a list", manifest.ErrFormat)
}

// object tells the formats apart whose file is a JSON object.
func (r *reader) object(data []byte) error {
	members, err := objectMembers(data)
	if err != nil {
		return err
	}
	format, operations := find(members, "format"), find(members, "operations")
	version, body := find(members, "version"), find(members, "body")
	switch {
	case format != nil && operations != nil:
		return r.apollo(members)
	case operations != nil && operations[0] == '[':
		return r.cosmo(operations)
	case operations != nil && operations[0] == '{':
		return r.cosmoPQL(version, operations)
	case operations != nil:
		return fmt.Errorf("%w: operations is neither a list nor an object", manifest.ErrFormat)
	case version != nil && body != nil && len(members) == 2:
		return r.cosmoFile(version, body)
	}
	return r.texts(FormatMap, members)
}
