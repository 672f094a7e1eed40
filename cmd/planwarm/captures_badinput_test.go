package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestBadInputOverTheWire sends what no router would send. Each of it is
// refused, nothing of it counts, and the sidecar works on.
func TestBadInputOverTheWire(t *testing.T) {
	t.Parallel()
	s := startSidecar(t, sidecarSettings{minExecutions: shut, maxBytes: "3MiB"})
	s.send(requests(t, "small/traces-http", "small/metrics-http-delta", "small/graphqlmetrics")...)
	before := s.live()
	if len(before) == 0 {
		t.Fatal("nothing was counted")
	}
	// Other requests than those that were counted, so that what slips through shows.
	trace, metric, usage := requests(t, mainTraces)[0], requests(t, mainDelta)[0], requests(t, mainUsage)[0]
	bomb := zipped(t, make([]byte, 64<<20))
	for _, signal := range []request{trace, metric, usage} {
		for _, bad := range badBodies(t, signal, bomb) {
			code, body := s.post(bad.request)
			if code != bad.want {
				t.Errorf("%s to %s: status %d, want %d: %.200s", bad.name, signal.path, code, bad.want, body)
			}
			if code, body := s.do(http.MethodGet, "http://"+s.addresses["health"]+"/livez", nil, nil); code != http.StatusOK {
				t.Fatalf("after %s: livez answers %d %s", bad.name, code, body)
			}
		}
	}
	conn, err := s.dial()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing is under way
	grpcMetric := requests(t, mainGRPC)[0]
	for name, c := range map[string]struct {
		body []byte
		want codes.Code
	}{
		"noise":     {noise, codes.InvalidArgument},
		"oversized": {make([]byte, 3<<20+1), codes.ResourceExhausted},
	} {
		bad := grpcMetric
		bad.body = c.body
		if err := export(t.Context(), conn, bad); status.Code(err) != c.want {
			t.Errorf("%s over gRPC: %v, want %s", name, err, c.want)
		}
	}
	same(t, "after bad input", s.live(), before)
	s.send(trace, metric, grpcMetric, usage)
	if after := s.live(); len(after) <= len(before) {
		t.Errorf("good input after bad: %d plans, %d before", len(after), len(before))
	}
	s.stop()
}

var noise = bytes.Repeat([]byte{0xff, 0x00, 0x9e, 0x61}, 4096)

type badBody struct {
	name string
	request
	want int
}

// badBodies are a captured request, spoilt.
func badBodies(t *testing.T, good request, bomb []byte) []badBody {
	plain := gunzip(t, good.body)
	spoil := func(name string, want int, body []byte, gzipped bool) badBody {
		r := good
		r.body, r.header = body, map[string]string{"Content-Type": good.header["Content-Type"]}
		if gzipped {
			r.header["Content-Encoding"] = "gzip"
		}
		return badBody{name, r, want}
	}
	return []badBody{
		spoil("noise", http.StatusBadRequest, noise, false),
		spoil("truncated protobuf", http.StatusBadRequest, plain[:len(plain)/2], false),
		spoil("truncated gzip", http.StatusBadRequest, good.body[:len(good.body)/2], true),
		spoil("gzip that is none", http.StatusBadRequest, plain, true),
		spoil("gzip of noise", http.StatusBadRequest, zipped(t, noise), true),
		spoil("gzip bomb", http.StatusRequestEntityTooLarge, bomb, true),
		spoil("oversized", http.StatusRequestEntityTooLarge, make([]byte, 3<<20+1), false),
	}
}

func zipped(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
