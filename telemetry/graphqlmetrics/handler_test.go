package graphqlmetrics

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var arrival = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// recorder keeps requests, those of an equal body once.
type recorder struct {
	seen     map[[32]byte]bool
	requests []telemetry.Request
	at       time.Time
}

var _ telemetry.Recorder = (*recorder)(nil)

func (r *recorder) Span(time.Time, telemetry.Span)              {}
func (r *recorder) Point(time.Time, telemetry.Point)            {}
func (r *recorder) Text(time.Time, telemetry.Operation, string) {}
func (r *recorder) Requests(at time.Time, digest [32]byte, rs []telemetry.Request) bool {
	if r.seen == nil {
		r.seen = map[[32]byte]bool{}
	}
	if r.seen[digest] {
		return false
	}
	r.seen[digest], r.at = true, at
	r.requests = append(r.requests, rs...)
	return true
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func serve(t testing.TB, o Options) string {
	t.Helper()
	h, err := NewHandler(o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(h)
	t.Cleanup(func() {
		s.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return s.URL
}

func send(t testing.TB, method, url string, body []byte, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, b
}

func TestHandlerTakesCaptures(t *testing.T) {
	var rec recorder
	reg := prometheus.NewRegistry()
	url := serve(t, Options{
		Route:      func(*http.Request) telemetry.Recorder { return &rec },
		Token:      "s3cret",
		Now:        func() time.Time { return arrival },
		Registerer: reg,
	})
	// As the router sends them.
	header := map[string]string{
		"Authorization": "Bearer s3cret", "Connect-Protocol-Version": "1", "Connect-Timeout-Ms": "9998",
		"Content-Encoding": "gzip", "Content-Type": "application/proto",
	}
	all := bodies(t, "main")
	for _, body := range slices.Concat(all, all[:1]) {
		res, answer := send(t, http.MethodPost, url+Path, packed(t, body), header)
		if res.StatusCode != http.StatusOK || len(answer) != 0 || res.Header.Get("Content-Type") != "application/proto" {
			t.Fatalf("%d %q", res.StatusCode, answer)
		}
	}
	var count uint64
	for _, r := range rec.requests {
		count += r.Count
	}
	if count != 2000 || !rec.at.Equal(arrival) || !rec.seen[sha256.Sum256(all[0])] {
		t.Errorf("%d requests at %s, want 2000", count, rec.at)
	}
	want := `
# HELP planwarm_graphqlmetrics_requests_total Schema usage requests by what they were answered.
# TYPE planwarm_graphqlmetrics_requests_total counter
planwarm_graphqlmetrics_requests_total{result="ok"} 7
planwarm_graphqlmetrics_requests_total{result="repeated"} 1
planwarm_graphqlmetrics_requests_total{result="unrouted"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "planwarm_graphqlmetrics_requests_total"); err != nil {
		t.Error(err)
	}
}

func TestHandlerTakesJSON(t *testing.T) {
	var rec recorder
	url := serve(t, Options{Route: func(*http.Request) telemetry.Recorder { return &rec }})
	res, answer := send(t, http.MethodPost, url+"/behind/a/proxy"+Path, asJSON([]telemetry.Request{{Document: "{x}", Count: 2, Op: telemetry.Operation{Hash: "7", Type: "query"}}}),
		map[string]string{"Content-Type": "application/json; charset=utf-8"})
	if res.StatusCode != http.StatusOK || string(answer) != "{}" || len(rec.requests) != 1 || rec.requests[0].Count != 2 {
		t.Errorf("%d %q, %+v", res.StatusCode, answer, rec.requests)
	}
}

func TestHandlerRefuses(t *testing.T) {
	const secret = "s3cret"
	var rec recorder
	url := serve(t, Options{Route: func(*http.Request) telemetry.Recorder { return &rec }, Token: secret, MaxBytes: 1 << 20})
	good := bodies(t, "small")[0]
	cases := []struct {
		name, method, path string
		header             map[string]string
		body               []byte
		status             int
		code               string
	}{
		{"no token", "POST", Path, map[string]string{"Authorization": ""}, good, 401, "unauthenticated"},
		{"wrong token", "POST", Path, map[string]string{"Authorization": "Bearer nope"}, good, 401, "unauthenticated"},
		{"GET", "GET", Path, nil, nil, 405, "unimplemented"},
		{"another procedure", "POST", "/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/PublishGraphQLMetrics", nil, good, 404, "unimplemented"},
		{"gRPC", "POST", Path, map[string]string{"Content-Type": "application/grpc"}, good, 415, "invalid_argument"},
		{"no content type", "POST", Path, map[string]string{"Content-Type": ""}, good, 415, "invalid_argument"},
		{"brotli", "POST", Path, map[string]string{"Content-Encoding": "br"}, good, 501, "unimplemented"},
		{"another protocol version", "POST", Path, map[string]string{"Connect-Protocol-Version": "2"}, good, 400, "invalid_argument"},
		{"truncated", "POST", Path, nil, good[:len(good)-1], 400, "invalid_argument"},
		{"nothing good in it", "POST", Path, nil, field(1, good[:2]), 400, "invalid_argument"},
		{"no gzip", "POST", Path, map[string]string{"Content-Encoding": "gzip"}, good, 400, "invalid_argument"},
		{"too large", "POST", Path, nil, make([]byte, 1<<20+1), 413, "resource_exhausted"},
		{"gzip bomb", "POST", Path, map[string]string{"Content-Encoding": "gzip"}, packed(t, make([]byte, 8<<20)), 413, "resource_exhausted"},
	}
	for _, c := range cases {
		header := map[string]string{"Authorization": "Bearer " + secret, "Content-Type": "application/proto"}
		for k, v := range c.header {
			header[k] = v
		}
		res, answer := send(t, c.method, url+c.path, c.body, header)
		var e struct{ Code, Message string }
		err := json.Unmarshal(answer, &e)
		if res.StatusCode != c.status || err != nil || e.Code != c.code || e.Message == "" || res.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %q, want %d %s", c.name, res.StatusCode, answer, c.status, c.code)
		}
		if strings.Contains(string(answer), secret) {
			t.Errorf("%s: the answer tells the token", c.name)
		}
	}
	if len(rec.requests) != 0 {
		t.Errorf("recorded %d requests of refused bodies", len(rec.requests))
	}
}

func TestHandlerKeepsTheGoodPart(t *testing.T) {
	var rec recorder
	url := serve(t, Options{Route: func(req *http.Request) telemetry.Recorder {
		if strings.HasPrefix(req.URL.Path, "/other") {
			return nil
		}
		return &rec
	}})
	header := map[string]string{"Content-Type": "application/proto"}
	body := slices.Concat(field(1, aggregation("7", 2)), field(1, []byte{0xff}))
	if res, answer := send(t, http.MethodPost, url+Path, body, header); res.StatusCode != http.StatusOK || len(rec.requests) != 1 {
		t.Errorf("%d %q, %d requests", res.StatusCode, answer, len(rec.requests))
	}
	if res, _ := send(t, http.MethodPost, url+"/other"+Path, field(1, aggregation("9", 1)), header); res.StatusCode != http.StatusOK || len(rec.requests) != 1 {
		t.Errorf("of another graph: %d, %d requests", res.StatusCode, len(rec.requests))
	}
}

func TestRecordCapture(t *testing.T) {
	body := bodies(t, "small")[0]
	u, err := Decode(body, Protobuf)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"protobuf": body, "gzipped": packed(t, body), "JSON": asJSON(u.Requests), "gzipped JSON": packed(t, asJSON(u.Requests))} {
		var rec recorder
		s, err := RecordCapture(arrival, raw, 0, &rec)
		if err != nil || !s.Counted || s.Aggregations != len(u.Requests) || len(rec.requests) != len(u.Requests) {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
		if s, err := RecordCapture(arrival, raw, 0, &rec); err != nil || s.Counted {
			t.Errorf("%s again: %v, %+v", name, err, s)
		}
	}
	if _, err := RecordCapture(arrival, []byte("text"), 0, &recorder{}); err == nil {
		t.Error("text is taken")
	}
}

func TestNewHandlerNeedsRoute(t *testing.T) {
	if _, err := NewHandler(Options{}); err == nil {
		t.Error("a handler without Route is made")
	}
}
