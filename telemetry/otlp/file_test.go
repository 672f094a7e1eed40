package otlp

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry/intake"
)

// TestDetectCaptures tells every captured body, the few without any histogram
// included.
func TestDetectCaptures(t *testing.T) {
	for want, folders := range map[Signal][]string{Traces: traceFolders, Metrics: metricFolders} {
		for _, c := range load(t, folders...) {
			if got, enc, err := Detect(c.body); got != want || enc != Protobuf || err != nil {
				t.Errorf("%s: %s as %s, %v, want %s", c.name, got, enc, err, want)
			}
		}
	}
	for name, want := range map[string]Signal{"small/traces-http/two-traces.json": Traces, "small/metrics-http-delta/planning-time.json": Metrics} {
		if got, enc, err := Detect(read(t, name)); got != want || enc != JSON || err != nil {
			t.Errorf("%s: %s as %s, %v, want %s", name, got, enc, err, want)
		}
	}
	for _, c := range load(t, "small/traces-http")[:1] {
		usage, err := intake.Unpack(read(t, "small/graphqlmetrics/gqlmetrics-001.pb"), 0)
		if err != nil {
			t.Fatal(err)
		}
		for name, body := range map[string][]byte{
			"schema usage": usage, "empty": nil, "text": []byte("traces"), "JSON": []byte("{}"), "truncated": c.body[:100],
		} {
			if got, _, err := Detect(body); !errors.Is(err, ErrUnknownSignal) {
				t.Errorf("%s: %s, %v, want ErrUnknownSignal", name, got, err)
			}
		}
	}
}

func TestOpenCapture(t *testing.T) {
	body := load(t, "small/traces-http")[0].body
	var rec, want recorder
	take(t, receiver(t, &want), "http", Traces, capture{"plain", body})
	for name, raw := range map[string][]byte{"plain": body, "gzipped": packed(t, body)} {
		rec = recorder{}
		c, err := OpenCapture("http", raw, 0)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Signal != Traces || c.Encoding != Protobuf || c.Newest.IsZero() || c.Newest.Year() != 2026 {
			t.Errorf("%s: %s as %s, newest %s", name, c.Signal, c.Encoding, c.Newest)
		}
		if _, err := receiver(t, &rec).TakeCapture(c.Newest, c); err != nil || len(rec.spans) != len(want.spans) || !rec.at[0].Equal(c.Newest) {
			t.Errorf("%s: %v, %d spans, want %d", name, err, len(rec.spans), len(want.spans))
		}
	}
	if _, err := OpenCapture("http", packed(t, body), 1000); !errors.Is(err, intake.ErrTooLarge) {
		t.Errorf("beyond the bound: %v, want ErrTooLarge", err)
	}
	if _, err := OpenCapture("http", []byte("text"), 0); !errors.Is(err, ErrUnknownSignal) {
		t.Errorf("text: %v, want ErrUnknownSignal", err)
	}
}

func TestNewest(t *testing.T) {
	tr := newTrace("a")
	tr.add("a", 1, 1, nil).SetEndTimestamp(5_000_000_000)
	tr.add("b", 2, 1, nil).SetEndTimestamp(7_000_000_000)
	tr.add("wrong clock", 3, 1, nil).SetEndTimestamp(1 << 63)
	if got, err := Newest(Traces, Protobuf, tr.bytes(t)); err != nil || !got.Equal(time.Unix(7, 0)) {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := Newest(Metrics, JSON, []byte(`{"resourceMetrics":[]}`)); err != nil || !got.IsZero() {
		t.Errorf("without any time: %s, %v", got, err)
	}
	if _, err := Newest(Logs, Protobuf, nil); err == nil || !strings.Contains(err.Error(), "newest") {
		t.Errorf("logs: %v", err)
	}
}
