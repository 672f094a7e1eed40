package otlp

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
)

const captures = "../../testdata/cosmo/"

// capture is one captured body, decompressed.
type capture struct {
	name string // path below captures
	body []byte
}

func plain(t testing.TB, raw []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// load reads the protobuf bodies of folders such as main/traces, in order.
func load(t testing.TB, folders ...string) (out []capture) {
	t.Helper()
	for _, folder := range folders {
		files, err := filepath.Glob(captures + folder + "/*.pb*")
		if err != nil || len(files) == 0 {
			t.Fatalf("no captures in %s: %v", folder, err)
		}
		sort.Strings(files)
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasSuffix(file, ".gz") {
				b = plain(t, b)
			}
			out = append(out, capture{strings.TrimPrefix(file, captures), b})
		}
	}
	return out
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(captures + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	traceFolders  = []string{"main/traces", "small/traces-http", "small/traces-grpc", "defaults/traces-http", "content/traces", "warm/traces"}
	metricFolders = []string{
		"main/metrics-http-delta", "main/metrics-grpc-delta", "main/metrics-http-cumulative",
		"small/metrics-http-delta", "small/metrics-grpc-delta", "small/metrics-http-cumulative",
		"defaults/metrics-http-cumulative", "content/metrics-http-delta", "warm/metrics-http-delta", "warm/metrics-grpc-delta",
	}
)

// told is one text that a recorder was told.
type told struct {
	op   telemetry.Operation
	text string
}

// recorder keeps what it is given.
type recorder struct {
	mu     sync.Mutex
	spans  []telemetry.Span
	points []telemetry.Point
	texts  []told
	merged int // points of overflow
	at     []time.Time
}

var (
	_ telemetry.Recorder         = (*recorder)(nil)
	_ telemetry.OverflowRecorder = (*recorder)(nil)
)

func (r *recorder) Span(at time.Time, s telemetry.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.spans = append(r.at, at), append(r.spans, s)
}

func (r *recorder) Point(at time.Time, p telemetry.Point) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.Bounds = append([]float64(nil), p.Bounds...)
	p.Counts = append([]uint64(nil), p.Counts...)
	if p.Exponential != nil {
		e := *p.Exponential
		e.Counts = append([]uint64(nil), e.Counts...)
		p.Exponential = &e
	}
	r.at, r.points = append(r.at, at), append(r.points, p)
}

func (r *recorder) Requests(time.Time, [32]byte, []telemetry.Request) bool { return false }

func (r *recorder) RecordOverflow(time.Time) { r.merged++ }

func (r *recorder) Text(at time.Time, op telemetry.Operation, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.at, r.texts = append(r.at, at), append(r.texts, told{op, text})
}

// receiver is a Receiver that routes everything to the recorder.
func receiver(t testing.TB, to telemetry.Recorder, with ...func(*Options)) *Receiver {
	t.Helper()
	o := Options{Route: func(Attributes) telemetry.Recorder { return to }}
	for _, f := range with {
		f(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
