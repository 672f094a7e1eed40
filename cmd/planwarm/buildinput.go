package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/telemetry/graphqlmetrics"
	"github.com/planwarm/planwarm/telemetry/intake"
	"github.com/planwarm/planwarm/telemetry/otlp"
)

// captureEndings are the files of a folder that are taken for captures.
var captureEndings = []string{".pb", ".pb.gz", ".json", ".json.gz"}

// buildInput is what a manifest is built from.
type buildInput struct {
	captures []capturedFile // oldest first
	usage    []string       // files of schema usage
	pins     []manifest.Pin // the first is on top
	now      time.Time
	taken    captureCounts
}

// capturedFile is an OTLP body. It is read twice, for its time and for what it
// says, so that no more than one body is in memory.
type capturedFile struct {
	path string
	at   time.Time // zero when it tells none
}

// captureCounts is what became of the bodies.
type captureCounts struct {
	Bodies       int `json:"bodies"`
	Taken        int `json:"taken"`
	Unattributed int `json:"unattributed"` // without an operation or without the cache's answer
	WarmUp       int `json:"warmUp"`       // of the router's own warm-up
	Overflowed   int `json:"overflowed"`   // merged by a router that ran out of attribute sets
	Rejected     int `json:"rejected"`     // malformed
	Repeated     int `json:"repeated"`     // schema usage that was counted already
}

// readBuildInput finds the files, their times, and reads the operations.
func readBuildInput(f *buildFlags) (*buildInput, error) {
	in := &buildInput{}
	paths, err := inputFiles(f.otlp, captureEndings)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		capture, err := openCapture(path)
		if err != nil {
			return nil, err
		}
		in.captures = append(in.captures, capturedFile{path, capture.Newest})
	}
	slices.SortStableFunc(in.captures, func(a, b capturedFile) int { return a.at.Compare(b.at) })
	if in.usage, err = inputFiles(f.usage, captureEndings); err != nil {
		return nil, err
	}
	documents, err := inputFiles(f.operations, operationEndings)
	if err != nil {
		return nil, err
	}
	ops, err := readOperations(documents)
	if err != nil {
		return nil, err
	}
	if in.now, err = in.clock(f.now, ops.at, slices.Concat(in.usage, documents)); err != nil {
		return nil, err
	}
	in.pins = ops.pins(in.now)
	return in, nil
}

// clock is the time that the manifest is built at: the one given, the newest
// that the input tells, or else the newest of the files themselves. The wall
// clock has no part in it, so equal input gives equal manifests.
func (in *buildInput) clock(given string, manifests time.Time, files []string) (time.Time, error) {
	if given != "" {
		now, err := time.Parse(time.RFC3339, given)
		return now.UTC(), err
	}
	now := manifests
	if n := len(in.captures); n > 0 && in.captures[n-1].at.After(now) {
		now = in.captures[n-1].at
	}
	if !now.IsZero() {
		return now.UTC(), nil
	}
	for _, c := range in.captures {
		files = append(files, c.path)
	}
	for _, path := range files {
		info, err := os.Stat(path)
		if err != nil {
			return now, fmt.Errorf("find newest time: %w", err)
		}
		if info.ModTime().After(now) {
			now = info.ModTime()
		}
	}
	return now.UTC(), nil
}

// fill replays the telemetry into a table.
func (in *buildInput) fill(canon *canonicaliser, window time.Duration) (*telemetry.Table, error) {
	table, err := telemetry.NewTable(telemetry.Options{Canonical: canon.canonical, OwnClient: cosmo.DefaultClientName, Window: window})
	if err != nil {
		return nil, err
	}
	rcv, err := otlp.New(otlp.Options{Route: func(otlp.Attributes) telemetry.Recorder { return table }})
	if err != nil {
		return nil, err
	}
	for _, c := range in.captures {
		body, err := openCapture(c.path)
		if err != nil {
			return nil, err
		}
		at := c.at
		if at.IsZero() || at.After(in.now) { // later than --now: still part of the input
			at = in.now
		}
		s, err := rcv.TakeCapture(at, body)
		if err != nil {
			return nil, refusedFile(c.path, err)
		}
		in.taken.addOTLP(s)
	}
	rcv.Flush() // nothing follows the last capture
	for _, path := range in.usage {
		raw, err := readInputFile(path, intake.DefaultMaxBytes)
		if err != nil {
			return nil, err
		}
		s, err := graphqlmetrics.RecordCapture(in.now, raw, 0, table)
		if err != nil {
			return nil, refusedFile(path, err)
		}
		in.taken.addUsage(s)
	}
	return table, nil
}

func (n *captureCounts) addOTLP(s otlp.Summary) {
	n.Bodies++
	n.Taken += s.Outcomes[otlp.Taken]
	n.Unattributed += s.Outcomes[otlp.Unattributed]
	n.WarmUp += s.Outcomes[otlp.WarmUp]
	n.Overflowed += s.Outcomes[otlp.Overflowed]
	n.Rejected += s.Rejected
}

func (n *captureCounts) addUsage(s graphqlmetrics.Summary) {
	n.Bodies++
	n.Rejected += s.Rejected
	if s.Counted {
		n.Taken += s.Aggregations
	} else if s.Aggregations > 0 {
		n.Repeated++
	}
}

// openCapture reads an OTLP body. Its folder stands for the reader that
// exported it: several readers of one router tell everything several times.
func openCapture(path string) (otlp.Capture, error) {
	raw, err := readInputFile(path, intake.DefaultMaxBytes)
	if err != nil {
		return otlp.Capture{}, err
	}
	capture, err := otlp.OpenCapture("file "+filepath.Dir(path), raw, 0)
	if err != nil {
		return otlp.Capture{}, refusedFile(path, err)
	}
	return capture, nil
}

// inputFiles lists the files that paths stand for: a file itself, what a
// pattern matches, or the files of a folder with one of the endings, in the
// order of their names.
func inputFiles(paths, endings []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			matches, bad := filepath.Glob(path)
			if bad != nil || len(matches) == 0 {
				return nil, notThere(fmt.Errorf("read input: %w", err))
			}
			out = append(out, matches...)
		case err != nil:
			return nil, notThere(fmt.Errorf("read input: %w", err))
		case info.IsDir():
			files, err := filesOf(path, endings)
			if err != nil {
				return nil, err
			}
			out = append(out, files...)
		default:
			out = append(out, path)
		}
	}
	return out, nil
}

// filesOf lists the files of a folder with one of the endings. Headers that
// were captured beside a body (NAME.meta.json) are no input.
func filesOf(folder string, endings []string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, notThere(fmt.Errorf("read input: %w", err))
	}
	var out []string
	for _, e := range entries {
		isInput := slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(e.Name(), ending) })
		if isInput && !e.IsDir() && !strings.HasSuffix(e.Name(), ".meta.json") {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	if len(out) == 0 {
		return nil, withCode(exitRefused, fmt.Errorf("read input: folder %s has no %s file", folder, strings.Join(endings, " or ")))
	}
	return out, nil
}

// readInputFile reads a file of at most limit bytes.
func readInputFile(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, notThere(fmt.Errorf("read input: %w", err))
	}
	if info.Size() > limit {
		return nil, refusedFile(path, fmt.Errorf("larger than %d bytes", limit))
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, notThere(fmt.Errorf("read input: %w", err))
	}
	return data, nil
}

// readSchemaFile loads a schema of any kind.
func readSchemaFile(path string) (*schema.Schema, error) {
	data, err := readInputFile(path, schema.MaxBytes)
	if err != nil {
		return nil, err
	}
	sc, err := schema.Load(data)
	if err != nil {
		return nil, refusedFile(path, err)
	}
	return sc, nil
}

// refusedFile names the file that an error is about.
func refusedFile(path string, err error) error {
	var missing *fs.PathError
	if errors.As(err, &missing) {
		return err
	}
	return withCode(exitRefused, fmt.Errorf("%s: %w", path, err))
}
