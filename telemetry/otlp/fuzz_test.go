package otlp

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// smallTraces and smallMetrics are seeds that a fuzzer can do something with.
func smallTraces(t testing.TB) ptraceotlp.ExportRequest {
	tr := newTrace("a")
	tr.add(cosmoPlanSpan, 1, 1, map[string]any{"wg.operation.hash": "7", "wg.engine.plan_cache_hit": false, "n": 5, "f": 0.5, "l": []any{"x"}})
	tr.add("other", 2, 1, nil)
	return ptraceotlp.NewExportRequestFromTraces(tr.td)
}

func FuzzTraces(f *testing.F) {
	req := smallTraces(f)
	asProto, err := req.MarshalProto()
	if err != nil {
		f.Fatal(err)
	}
	asJSON, err := req.MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(asProto, false)
	f.Add(asJSON, true)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		if isJSON {
			var got everything
			_, err := DecodeTraces(body, JSON, &got)
			checkKind(t, err)
			return
		}
		was := bytes.Clone(body)
		var got everything
		res, err := DecodeTraces(body, Protobuf, &got)
		checkKind(t, err)
		if !bytes.Equal(was, body) {
			t.Fatal("the body was changed")
		}
		req := ptraceotlp.NewExportRequest()
		if err != nil || res.Rejected > 0 || req.UnmarshalProto(body) != nil {
			return
		}
		// What both take whole, both must read alike.
		if want := oracleTraces(req.Traces()); !slices.Equal(got.items, want) {
			t.Fatalf("\n got %q\nwant %q", got.items, want)
		}
	})
}

func FuzzMetrics(f *testing.F) {
	for _, req := range []pmetricotlp.ExportRequest{
		pmetricotlp.NewExportRequestFromMetrics(planningTime("ms", nil)),
		pmetricotlp.NewExportRequestFromMetrics(syntheticMetrics()),
	} {
		asProto, err := req.MarshalProto()
		if err != nil {
			f.Fatal(err)
		}
		asJSON, err := req.MarshalJSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(asProto, false)
		f.Add(asJSON, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		enc := Protobuf
		if isJSON {
			enc = JSON
		}
		var rec recorder
		sum, err := receiver(t, &rec).Take(arrival, "http", Metrics, enc, bytes.Clone(body))
		checkKind(t, err)
		for _, p := range rec.points {
			var total uint64
			for _, c := range p.Counts {
				total += c
			}
			if p.Exponential != nil {
				total = p.Exponential.ZeroCount
				for _, c := range p.Exponential.Counts {
					total += c
				}
			} else if len(p.Counts) != len(p.Bounds)+1 {
				t.Fatalf("%d buckets, %d bounds", len(p.Counts), len(p.Bounds))
			}
			if total != p.Count || p.Count > maxCount || math.IsNaN(p.Sum) {
				t.Fatalf("unsound point %+v", p)
			}
		}
		var again recorder
		sum2, _ := receiver(t, &again).Take(arrival, "http", Metrics, enc, body)
		if sum2.Items != sum.Items || !reflect.DeepEqual(len(rec.points), len(again.points)) {
			t.Fatal("second decoding differs")
		}
	})
}

// FuzzDetect must not mistake one signal for the other, nor fail.
func FuzzDetect(f *testing.F) {
	b, err := smallTraces(f).MarshalProto()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(metricBytes(f, planningTime("s", nil)))
	f.Fuzz(func(t *testing.T, body []byte) {
		signal, enc, err := Detect(body)
		if err != nil {
			if signal != 0 || !errors.Is(err, ErrUnknownSignal) {
				t.Fatalf("signal %d with error %v", signal, err)
			}
			return
		}
		_, err = Newest(signal, enc, body)
		checkKind(t, err)
	})
}

func checkKind(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooMany) {
		t.Fatalf("error of no kind: %v", err)
	}
}
