package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/manifest/persisted"
	"github.com/planwarm/planwarm/schema"
)

const (
	maxInputFiles = manifest.MaxEntries
	maxInputBytes = 64 << 20 // of all files of one command
	stdinName     = "-"
	stdinLabel    = "stdin"
)

// pushed is one operation that was read, or what kept something from being read.
type pushed struct {
	source  schema.Source
	request manifest.Request
	client  *manifest.Client
	// profiles are those of a manifest's entry
	profiles []string
	fault    error

	file, entry string // of a persisted-operation file; "" for any other
}

// operationReader reads operations out of files and folders. It goes on after
// a fault, so that all of them are told.
type operationReader struct {
	stdin io.Reader

	operations []pushed       // and faults, in the order of the input
	failed     bool           // there is a fault
	refused    []refusedEntry // of persisted-operation files; the others are pushed
	files      int
	bytes      int
}

func (r *operationReader) fail(err error) {
	r.operations = append(r.operations, pushed{fault: err})
	r.failed = true
}

// read reads everything that paths name.
func (r *operationReader) read(paths []string) {
	for _, path := range paths {
		if path == stdinName {
			r.load(stdinLabel, r.stdin, true)
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			r.fail(notThere(fmt.Errorf("read operations: %w", err)))
		case info.IsDir():
			r.folder(path)
		default:
			r.file(path, true)
		}
	}
}

// notThere gives a missing file the exit code of what is not found.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return withCode(exitNotFound, err)
	}
	return withCode(exitFailed, err)
}

// folder reads the documents of a folder and those below it, hidden ones left out.
func (r *operationReader) folder(root string) {
	before := r.files
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != root && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case e.IsDir() || !isDocument(path) && !persisted.FileName(path):
			return nil
		}
		return r.file(path, false)
	})
	if err != nil {
		r.fail(notThere(fmt.Errorf("read operations: %w", err)))
		return
	}
	if r.files == before {
		r.fail(withCode(exitRefused, fmt.Errorf("%s: no *.graphql or *.gql file, and none called <sha256>.json", root)))
	}
}

func isDocument(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".graphql" || ext == ".gql"
}

// file reads one file. It returns an error only when there is no sense in going on.
func (r *operationReader) file(path string, named bool) error {
	if r.files++; r.files > maxInputFiles {
		return fmt.Errorf("more than %d files", maxInputFiles)
	}
	f, err := os.Open(path)
	if err != nil {
		r.fail(notThere(fmt.Errorf("read operations: %w", err)))
		return nil
	}
	defer func() { _ = f.Close() }() // it was only read
	r.load(path, f, named)
	return nil
}

func (r *operationReader) load(name string, in io.Reader, named bool) {
	data, err := readInput(in, maxInputBytes-r.bytes)
	if err != nil {
		r.fail(fmt.Errorf("read operations: %s: %w", name, err))
		return
	}
	r.bytes += len(data)
	if isJSON(name, data) {
		r.json(name, data)
		return
	}
	sources, err := schema.ParseDocument(name, data)
	if err != nil {
		if named || !withoutOperation(err) { // a folder may have files of fragments
			r.fail(err)
		}
		return
	}
	for _, s := range sources {
		r.operations = append(r.operations, pushed{source: s, request: manifest.Request{OperationName: s.Name, Query: s.Text}})
	}
}

// readInput reads a file that is no larger than the format of manifests allows.
func readInput(in io.Reader, left int) ([]byte, error) {
	limit := min(int64(left), manifest.MaxBytes)
	data, err := io.ReadAll(io.LimitReader(in, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, withCode(exitRefused, fmt.Errorf("%w: more than %d bytes", manifest.ErrTooLarge, limit))
	}
	return data, nil
}

// isJSON tells JSON from GraphQL, in which a brace is never followed by a quote.
func isJSON(name string, data []byte) bool {
	if strings.EqualFold(filepath.Ext(name), ".json") {
		return true
	}
	s := strings.TrimLeft(strings.TrimPrefix(string(data[:min(len(data), 4096)]), "\uFEFF"), " \t\r\n")
	if strings.HasPrefix(s, "[") {
		return true
	}
	rest, brace := strings.CutPrefix(s, "{")
	rest = strings.TrimLeft(rest, " \t\r\n")
	return brace && (strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "}"))
}

// withoutOperation says whether a document was refused because it has none.
func withoutOperation(err error) bool {
	var faults schema.OperationErrors
	return errors.As(err, &faults) && len(faults) == 1 && faults[0].Rule == schema.RuleChoice && faults[0].Line == 0
}

func choiceFault(file, message string) error {
	return schema.OperationErrors{{File: file, Rule: schema.RuleChoice, Message: message}}
}

// choose keeps the operation called name and looks at whether a persisted id
// can belong to what is left. Faults of the files come later, with all others.
func (r *operationReader) choose(name, persisted string) error {
	if name != "" {
		r.operations = slices.DeleteFunc(r.operations, func(op pushed) bool { return op.fault == nil && op.request.OperationName != name })
		if len(r.operations) == 0 && len(r.refused) == 0 {
			r.fail(choiceFault("", fmt.Sprintf("no operation called %q", name)))
		}
	}
	if persisted != "" && len(r.operations) > 1 && !r.failed {
		return withCode(exitUsage, fmt.Errorf("--persisted-id is of one operation, here are %d: -o chooses", len(r.operations)))
	}
	return nil
}

// pins checks all operations and makes pins of them. The error has every fault.
func (r *operationReader) pins(rules *rules, template manifest.Pin) ([]manifest.Pin, error) {
	var faults []error
	pins := make([]manifest.Pin, 0, len(r.operations))
	for _, op := range r.operations {
		key, err := "", op.fault
		if err == nil {
			key, err = rules.check(op.source)
		}
		if err != nil && op.entry != "" {
			r.refuseFault(op.file, op.entry, err)
			continue
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		p := template
		p.Request, p.PlanKey = op.request, key
		if template.Request.Extensions != nil {
			p.Request.Extensions = template.Request.Extensions
		}
		if p.Client == nil {
			p.Client = op.client
		}
		if len(p.Profiles) == 0 {
			p.Profiles = op.profiles
		}
		p.ID = manifest.PinID(p.Request)
		pins = append(pins, p)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if len(pins) == 0 && len(r.refused) > 0 {
		return nil, r.refusals()
	}
	if len(pins) == 0 {
		return nil, choiceFault("", "no operation to push")
	}
	return pins, nil
}
