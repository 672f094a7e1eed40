package otlp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// gatewayCaptures reads the traces of a folder below testdata.
func gatewayCaptures(t testing.TB, folder string) (out []capture) {
	t.Helper()
	files, err := filepath.Glob("../../testdata/" + folder + "/traces-*.gz")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", folder, err)
	}
	sort.Strings(files)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, capture{file, plain(t, raw)})
	}
	return out
}

func readTruth(t testing.TB, router string, to any) {
	t.Helper()
	b, err := os.ReadFile("../../testdata/" + router + "/truth.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, to); err != nil {
		t.Fatal(err)
	}
}

// events takes captures and returns what they came to, each event once and in
// an order of its own, so that two results can be compared.
func events(t testing.TB, cs []capture) []telemetry.Span {
	t.Helper()
	var rec recorder
	r := receiver(t, &rec)
	for _, c := range cs {
		_, enc, err := Detect(c.body)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if s, err := r.Take(arrival, "http", Traces, enc, c.body); err != nil || s.Rejected != 0 || s.Outcomes[Unattributed] != 0 {
			t.Fatalf("%s: %v, %+v", c.name, err, s)
		}
	}
	r.Flush()
	compare := func(a, b telemetry.Span) int {
		return cmpOr(bytes.Compare(a.TraceID[:], b.TraceID[:]), bytes.Compare(a.SpanID[:], b.SpanID[:]))
	}
	slices.SortFunc(rec.spans, compare)
	// The table knows an event that comes twice by its ids.
	return slices.CompactFunc(rec.spans, func(a, b telemetry.Span) bool { return compare(a, b) == 0 })
}

func cmpOr(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// scattered puts every span of the captures into a body of its own choosing:
// the spans of a request are torn apart, some come twice, in any order.
func scattered(t testing.TB, cs []capture, bodies int, rng *rand.Rand) []capture {
	t.Helper()
	out := make([]ptrace.Traces, bodies)
	for i := range out {
		out[i] = ptrace.NewTraces()
	}
	for _, c := range cs {
		req := ptraceotlp.NewExportRequest()
		var err error
		if bytes.HasPrefix(c.body, []byte("{")) {
			err = req.UnmarshalJSON(c.body)
		} else {
			err = req.UnmarshalProto(c.body)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, rs := range req.Traces().ResourceSpans().All() {
			into := make([]ptrace.ScopeSpansSlice, bodies)
			for i := range out {
				x := out[i].ResourceSpans().AppendEmpty()
				rs.Resource().CopyTo(x.Resource())
				into[i] = x.ScopeSpans()
			}
			for _, ss := range rs.ScopeSpans().All() {
				spans := make([]ptrace.SpanSlice, bodies)
				for i := range into {
					x := into[i].AppendEmpty()
					ss.Scope().CopyTo(x.Scope())
					spans[i] = x.Spans()
				}
				for _, s := range ss.Spans().All() {
					for range 1 + rng.IntN(2) {
						s.CopyTo(spans[rng.IntN(bodies)].AppendEmpty())
					}
				}
			}
		}
	}
	bodiesOut := make([]capture, bodies)
	for i := range out {
		b, err := ptraceotlp.NewExportRequestFromTraces(out[i]).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		bodiesOut[i] = capture{fmt.Sprint("body ", i), b}
	}
	return bodiesOut
}

// TestGatewaysInAnyOrder: batches that come in any order, twice, or with the
// spans of one request in several of them, come to the same events.
func TestGatewaysInAnyOrder(t *testing.T) {
	for _, folder := range []string{"apollo-gateway/otlp-json", "apollo-gateway/otlp-protobuf", "hive-gateway/otlp-json"} {
		t.Run(folder, func(t *testing.T) {
			captures := gatewayCaptures(t, folder)
			want := events(t, captures)
			if len(want) < 300 {
				t.Fatalf("%d events", len(want))
			}
			rng := rand.New(rand.NewPCG(5, 6))
			for round := range 4 {
				cs := append(slices.Clone(captures), captures[:round]...)
				rng.Shuffle(len(cs), func(i, j int) { cs[i], cs[j] = cs[j], cs[i] })
				if round%2 == 1 {
					cs = scattered(t, captures, 3+4*round, rng)
				}
				if got := events(t, cs); !reflect.DeepEqual(got, want) {
					t.Errorf("round %d: %d events, want the same %d", round, len(got), len(want))
				}
			}
		})
	}
}

type apolloOperation struct {
	Name     string    `json:"name"`
	Document string    `json:"document_sha256"`
	Requests int       `json:"requests"`
	Misses   int       `json:"misses"`
	MissMs   []float64 `json:"miss_ms"`
	P90      float64   `json:"p90_ms"`
}

func TestApolloGatewayEqualsTruth(t *testing.T) {
	var truth struct {
		Requests   int               `json:"requests"`
		Misses     int               `json:"misses"`
		Operations []apolloOperation `json:"operations"`
	}
	readTruth(t, "apollo-gateway", &truth)
	for _, folder := range []string{"apollo-gateway/otlp-json", "apollo-gateway/otlp-protobuf"} {
		got := map[string]*apolloOperation{}
		requests, misses := 0, 0
		for _, s := range events(t, gatewayCaptures(t, folder)) {
			sum := sha256.Sum256([]byte(s.Document))
			key := hex.EncodeToString(sum[:]) + s.Op.Name
			o := got[key]
			if o == nil {
				o = &apolloOperation{}
				got[key] = o
			}
			if s.Hit == s.Counted || s.Op.Hash != "" {
				t.Fatalf("%+v is neither an execution nor a sample", s)
			}
			if s.Hit {
				o.Requests++
				requests++
				continue
			}
			o.Misses++
			misses++
			o.MissMs = append(o.MissMs, float64(s.Duration)/1e6)
		}
		if requests != truth.Requests || misses != truth.Misses || len(got) != len(truth.Operations) {
			t.Errorf("%s: %d requests, %d misses, %d operations", folder, requests, misses, len(got))
		}
		for _, w := range truth.Operations {
			g := got[w.Document+w.Name]
			if g == nil {
				t.Errorf("%s: %s is missing", folder, w.Name)
				continue
			}
			slices.Sort(g.MissMs)
			if g.Requests != w.Requests || g.Misses != w.Misses || !slices.Equal(g.MissMs, w.MissMs) {
				t.Errorf("%s: %s: %+v, want %+v", folder, w.Name, *g, w)
			}
		}
	}
}

// TestApolloGatewayFillsTable: what the table makes of the events.
func TestApolloGatewayFillsTable(t *testing.T) {
	var truth struct {
		Operations []apolloOperation `json:"operations"`
	}
	readTruth(t, "apollo-gateway", &truth)
	table, err := telemetry.NewTable(telemetry.Options{Canonical: func(text, name string) (telemetry.Canonical, error) {
		sum := sha256.Sum256([]byte(text))
		return telemetry.Canonical{Text: text, Name: name, Key: hex.EncodeToString(sum[:]) + name}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	r := receiver(t, table)
	captures := gatewayCaptures(t, "apollo-gateway/otlp-protobuf")
	take(t, r, "http", Traces, append(captures, captures...)...)
	got := map[string]telemetry.Usage{}
	for _, u := range table.Usages(arrival, telemetry.DefaultWindow) {
		got[u.Hash] = u
	}
	for _, w := range truth.Operations {
		u := got[w.Document+w.Name]
		if u.Executions != uint64(w.Requests) || u.Samples != uint64(w.Misses) || math.Abs(u.P90-w.P90) > 0.011*w.P90 {
			t.Errorf("%s: %d executions, %d samples, P90 %v, want %+v", w.Name, u.Executions, u.Samples, u.P90, w)
		}
	}
}

func TestHiveGatewayEqualsTruth(t *testing.T) {
	var truth struct {
		Requests   int `json:"requests"`
		Operations []struct {
			Hash     string    `json:"hash"`
			Name     string    `json:"name"`
			Requests int       `json:"requests"`
			Texts    int       `json:"distinct_texts"`
			Gaps     []float64 `json:"gap_ms"`
		} `json:"operations"`
		Planner map[string][]float64 `json:"planner_calls_ms"`
		Calls   int                  `json:"planner_calls"`
	}
	readTruth(t, "hive-gateway", &truth)
	got := map[string][]telemetry.Span{}
	misses := map[string]int{}
	all, missed := events(t, gatewayCaptures(t, "hive-gateway/otlp-json")), 0
	for _, s := range all {
		got[s.Op.SourceHash] = append(got[s.Op.SourceHash], s)
		if !s.Hit {
			misses[s.Op.Name]++
			missed++
		}
	}
	if len(all) != truth.Requests {
		t.Errorf("%d requests, want %d", len(all), truth.Requests)
	}
	for _, w := range truth.Operations {
		var gaps []float64
		texts := map[string]bool{}
		for _, s := range got[w.Hash] {
			texts[s.Document] = true
			if s.Duration > 0 || !s.Hit {
				gaps = append(gaps, float64(s.Duration)/1e6)
			}
			if s.Op.Name != w.Name {
				t.Errorf("%s: name %q, want %q", w.Hash, s.Op.Name, w.Name)
			}
		}
		slices.Sort(gaps)
		want := slices.DeleteFunc(slices.Clone(w.Gaps), func(ms float64) bool { return ms == 0 })
		gaps = slices.DeleteFunc(gaps, func(ms float64) bool { return ms == 0 })
		// truth.json counts the texts of the operation spans, minified or not.
		if len(got[w.Hash]) != w.Requests || len(texts) == 0 || len(texts) > w.Texts || !slices.Equal(gaps, want) {
			t.Errorf("%s: %d requests, %d texts, gaps %v, want %+v", w.Name, len(got[w.Hash]), len(texts), gaps, w)
		}
	}
	// The cache is followed, not seen: an operation whose planning fails, or
	// that comes twice at once, is planned more often than that tells.
	for name, n := range misses {
		if name != "" && n > len(truth.Planner[name]) {
			t.Errorf("%s: %d misses, the planner was called %d times", name, n, len(truth.Planner[name]))
		}
	}
	if missed < truth.Calls*85/100 || missed > truth.Calls {
		t.Errorf("%d misses, the planner was called %d times", missed, truth.Calls)
	}
}

// TestHiveGatewayTextsAreRaw: the text is that of the parse span, which the
// gateway keys on, not the minified one.
func TestHiveGatewayTextsAreRaw(t *testing.T) {
	var layout int
	for _, s := range events(t, gatewayCaptures(t, "hive-gateway/otlp-json")) {
		if strings.Contains(s.Document, "\n") {
			layout++
		}
		if s.Document != strings.TrimSpace(s.Document) {
			t.Errorf("%s: text is not trimmed", s.Op.Name)
		}
	}
	if layout == 0 {
		t.Error("no text has its layout")
	}
}

func TestSettle(t *testing.T) {
	var rec recorder
	r := receiver(t, &rec)
	c := gatewayCaptures(t, "hive-gateway/otlp-json")[0]
	if _, err := r.Take(arrival, "http", Traces, JSON, c.body); err != nil {
		t.Fatal(err)
	}
	r.Settle(arrival.Add(settle - time.Second))
	if len(rec.spans) != 0 {
		t.Fatalf("%d events before the requests were silent", len(rec.spans))
	}
	r.Settle(arrival.Add(settle))
	n := len(rec.spans)
	if n < 40 {
		t.Fatalf("%d events", n)
	}
	r.Flush()
	if len(rec.spans) != n {
		t.Errorf("%d events more", len(rec.spans)-n)
	}
	for _, at := range rec.at {
		if !at.Equal(arrival) {
			t.Fatalf("event at %s, not when the request arrived", at)
		}
	}
}
