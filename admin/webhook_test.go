package admin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var storefront = manifest.Graph{Namespace: "production", Name: "storefront"}

// publications keeps deliveries as the bucket does.
type publications struct {
	mu    sync.Mutex
	known map[string]time.Time
	fresh int
	err   error
}

func (p *publications) Published(_ context.Context, g manifest.Graph, d Delivery) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return false, p.err
	}
	key := g.String() + d.Source + d.ID
	if at, ok := p.known[key]; ok && (d.Window == 0 || d.At.Sub(at) < d.Window) {
		return false, nil
	}
	if p.known == nil {
		p.known = map[string]time.Time{}
	}
	p.known[key] = d.At
	p.fresh++
	return true, nil
}

func (p *publications) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fresh
}

// clock is a Now that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func always(secrets ...string) func() []string { return func() []string { return secrets } }

const hiveSecret, genericSecret = "hive-path-secret", "generic-secret"

// samples are the secrets of the fixtures.
func samples(t testing.TB) (secrets struct{ Cosmo, Apollo, Other string }) {
	t.Helper()
	readJSON(t, "testdata/webhooks/secrets.json", &secrets)
	return secrets
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func options(t testing.TB, p Publications) WebhookOptions {
	s := samples(t)
	return WebhookOptions{
		Publications: p,
		Graphs: []WebhookGraph{{
			Graph: storefront, Cosmo: []string{"production/storefront", "6f1c7d1e-57a0-4f2e-8a5e-0c1d2e3f4a5b"},
			Apollo: []string{"storefront@production"}, Hive: []string{"web/production"},
		}},
		CosmoSecrets: always(s.Cosmo), ApolloSecrets: always("an older one", s.Apollo), HiveSecrets: always(hiveSecret),
		Generic: &GenericWebhook{Secrets: always(genericSecret), Header: "X-Signature", Prefix: "v1=", Encoding: EncodingBase64},
	}
}

func newWebhooks(t testing.TB, o WebhookOptions) http.Handler {
	t.Helper()
	h, err := NewWebhooks(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// post sends a delivery over the wire.
func post(t *testing.T, url string, body []byte, header http.Header) (status int, said struct {
	State, Reason, Error string
	Graphs               []string
}) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.Header.Del("Content-Length") // the client counts itself
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Header.Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(text, &said); err != nil {
			t.Fatalf("answer %q: %v", text, err)
		}
	}
	return res.StatusCode, said
}

// repeats says which sample goes before those that repeat it.
var repeats = map[string]string{
	"cosmo/replayed": "cosmo/schema-updated", "apollo/replayed": "apollo/build-succeeded", "hive/replayed": "hive/schema-published",
}

// TestSamples sends every sample over the wire.
func TestSamples(t *testing.T) {
	cases, err := filepath.Glob("testdata/webhooks/*/*")
	if err != nil || len(cases) != 28 {
		t.Fatalf("%d samples, %v", len(cases), err)
	}
	for _, dir := range cases {
		name := strings.TrimPrefix(filepath.ToSlash(dir), "testdata/webhooks/")
		t.Run(name, func(t *testing.T) {
			p := &publications{}
			srv := httptest.NewServer(newWebhooks(t, options(t, p)))
			defer srv.Close()
			if first, ok := repeats[name]; ok {
				if status, said := sendSample(t, srv.URL, first); status != http.StatusAccepted || said != outcomeAccepted {
					t.Fatalf("%s: %d %s", first, status, said)
				}
			}
			before := p.count()
			status, said := sendSample(t, srv.URL, name)
			var want struct {
				Signature *bool `json:"signature_valid"`
				Trigger   bool  `json:"trigger_refresh"`
			}
			readJSON(t, filepath.Join(dir, "expect.json"), &want)
			signed := want.Signature == nil || *want.Signature
			if (status == http.StatusUnauthorized) == signed {
				t.Errorf("status %d, signature valid: %t", status, signed)
			}
			if triggered := p.count() > before; triggered != want.Trigger || triggered != (said == outcomeAccepted) {
				t.Errorf("triggered: %t (%q), want %t", triggered, said, want.Trigger)
			}
			switch _, repeated := repeats[name]; {
			case repeated && said != outcomeDuplicate:
				t.Errorf("a repetition is %q", said)
			case name == "cosmo/malformed-body" && status != http.StatusBadRequest:
				t.Errorf("status %d for what is no JSON", status)
			case signed && name != "cosmo/malformed-body" && status != http.StatusAccepted:
				t.Errorf("status %d", status)
			}
		})
	}
}

func sendSample(t *testing.T, url, name string) (status int, state string) {
	t.Helper()
	dir := filepath.Join("testdata/webhooks", filepath.FromSlash(name))
	body, err := os.ReadFile(filepath.Join(dir, "body.json"))
	if err != nil {
		t.Fatal(err)
	}
	var headers map[string]string
	readJSON(t, filepath.Join(dir, "headers.json"), &headers)
	h := http.Header{}
	for k, v := range headers {
		h.Set(k, v)
	}
	source, _, _ := strings.Cut(name, "/")
	if source == "hive" {
		source += "/" + hiveSecret
	}
	status, said := post(t, url+"/webhooks/"+source, body, h)
	if said.State == outcomeIgnored && said.Reason == "" {
		t.Error("ignored without a reason")
	}
	return status, said.State
}

func mac(secret string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(body)
	return h.Sum(nil)
}

func TestGeneric(t *testing.T) {
	p := &publications{}
	srv := httptest.NewServer(newWebhooks(t, options(t, p)))
	defer srv.Close()
	for name, c := range map[string]struct {
		body   string
		status int
		state  string
	}{
		"graph":           {`{"graph":"storefront"}`, 202, outcomeAccepted},
		"namespace":       {`{"graph":"storefront","namespace":"production","id":"a"}`, 202, outcomeAccepted},
		"other namespace": {`{"graph":"storefront","namespace":"staging"}`, 202, outcomeIgnored},
		"other graph":     {`{"graph":"intranet"}`, 202, outcomeIgnored},
		"failed":          {`{"graph":"storefront","failed":true}`, 202, outcomeIgnored},
		"no graph":        {`{}`, 400, ""},
		"a list":          {`[]`, 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sum := base64.StdEncoding.EncodeToString(mac(genericSecret, []byte(c.body)))
			status, said := post(t, srv.URL+"/webhooks/generic", []byte(c.body), http.Header{"X-Signature": {"v1=" + sum}})
			if status != c.status || said.State != c.state {
				t.Errorf("%d %+v", status, said)
			}
			for _, wrong := range []http.Header{nil, {"X-Signature": {sum}}, {"X-Signature": {"v1=" + sum, "v1=" + sum}}, {"X-Signature": {"v1=" + hex.EncodeToString(mac(genericSecret, []byte(c.body)))}}} {
				if status, _ := post(t, srv.URL+"/webhooks/generic", []byte(c.body), wrong); status != http.StatusUnauthorized {
					t.Errorf("%d with %d signatures that are wrong", status, len(wrong["X-Signature"]))
				}
			}
		})
	}
}

// That Apollo writes hexadecimal digits was not seen on its own page.
func TestApolloBase64(t *testing.T) {
	p := &publications{}
	srv := httptest.NewServer(newWebhooks(t, options(t, p)))
	defer srv.Close()
	body := []byte(`{"eventType":"SCHEMA_PUBLISH","variantID":"storefront@production"}`)
	h := http.Header{"X-Apollo-Signature": {"sha256=" + base64.StdEncoding.EncodeToString(mac(samples(t).Apollo, body))}}
	if status, said := post(t, srv.URL+"/webhooks/apollo", body, h); status != http.StatusAccepted || said.State != outcomeAccepted {
		t.Errorf("%d %+v", status, said)
	}
}

func TestHiveSecret(t *testing.T) {
	srv := httptest.NewServer(newWebhooks(t, options(t, &publications{})))
	defer srv.Close()
	body := []byte(`{"target":{"slug":"production"},"project":{"slug":"web"},"schema":{"valid":true}}`)
	for name, c := range map[string]struct {
		path   string
		header http.Header
		want   int
	}{
		"path":         {"/" + hiveSecret, nil, 202},
		"token":        {"", http.Header{"Authorization": {"Bearer " + hiveSecret}}, 202},
		"wrong path":   {"/another", nil, 401},
		"wrong token":  {"", http.Header{"Authorization": {"Bearer another"}}, 401},
		"path counts":  {"/another", http.Header{"Authorization": {"Bearer " + hiveSecret}}, 401},
		"nothing":      {"", nil, 401},
		"part of it":   {"/" + hiveSecret[:5], nil, 401},
		"deeper path":  {"/" + hiveSecret + "/x", nil, 404},
		"other scheme": {"/" + hiveSecret, http.Header{"Authorization": {"Basic " + hiveSecret}}, 202},
	} {
		if status, _ := post(t, srv.URL+"/webhooks/hive"+c.path, body, c.header); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
}

// A delivery without an id is a repetition only for a moment.
func TestRepeatWindow(t *testing.T) {
	c := &clock{now: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)}
	o := options(t, &publications{})
	o.Now = c.Now
	srv := httptest.NewServer(newWebhooks(t, o))
	defer srv.Close()
	for _, step := range []struct {
		name  string
		after time.Duration
		want  string
	}{
		{"cosmo/schema-updated", 0, outcomeAccepted}, {"cosmo/replayed", repeatWindow - time.Second, outcomeDuplicate},
		{"cosmo/replayed", 2 * time.Second, outcomeAccepted},
		{"apollo/build-succeeded", 0, outcomeAccepted}, {"apollo/replayed", 24 * time.Hour, outcomeDuplicate},
		{"hive/schema-published", 0, outcomeAccepted}, {"hive/replayed", 24 * time.Hour, outcomeDuplicate},
	} {
		c.move(step.after)
		if status, state := sendSample(t, srv.URL, step.name); status != http.StatusAccepted || state != step.want {
			t.Errorf("%s after %s: %d %s, want %s", step.name, step.after, status, state, step.want)
		}
	}
}

func TestWebhookThatCannotBeKept(t *testing.T) {
	p := &publications{err: errors.New("bucket is down")}
	srv := httptest.NewServer(newWebhooks(t, options(t, p)))
	defer srv.Close()
	if status, state := sendSample(t, srv.URL, "cosmo/schema-updated"); status != http.StatusServiceUnavailable || state != "" {
		t.Errorf("%d %s", status, state)
	}
	p.mu.Lock()
	p.err = nil
	p.mu.Unlock()
	if status, state := sendSample(t, srv.URL, "cosmo/schema-updated"); status != http.StatusAccepted || state != outcomeAccepted {
		t.Errorf("sent again: %d %s", status, state)
	}
}

func TestWebhookBounds(t *testing.T) {
	o := options(t, &publications{})
	o.Registerer = prometheus.NewRegistry()
	h := newWebhooks(t, o)
	srv := httptest.NewServer(h)
	defer srv.Close()
	large := bytes.Repeat([]byte{' '}, maxWebhookBytes+1)
	if status, _ := post(t, srv.URL+"/webhooks/cosmo", large, nil); status != http.StatusRequestEntityTooLarge {
		t.Errorf("%d for a large body", status)
	}
	fits := large[:maxWebhookBytes]
	header := http.Header{"X-Cosmo-Signature-256": {hex.EncodeToString(mac(samples(t).Cosmo, fits))}}
	if status, _ := post(t, srv.URL+"/webhooks/cosmo", fits, header); status != http.StatusBadRequest {
		t.Errorf("%d for blanks that are signed", status)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/webhooks/cosmo", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("%d for GET", w.Code)
	}
}

// A sender without secrets is off, an empty secret opens to nobody.
func TestSendersThatAreOff(t *testing.T) {
	o := options(t, &publications{})
	o.CosmoSecrets, o.ApolloSecrets, o.HiveSecrets, o.Generic = nil, always(), always(""), nil
	srv := httptest.NewServer(newWebhooks(t, o))
	defer srv.Close()
	body := []byte(`{}`)
	sum := hex.EncodeToString(mac("", body))
	for path, want := range map[string]int{"cosmo": 404, "generic": 404, "apollo": 401, "hive": 401, "": 404} {
		h := http.Header{"X-Apollo-Signature": {"sha256=" + sum}, "X-Cosmo-Signature-256": {sum}}
		if status, _ := post(t, srv.URL+"/webhooks/"+path, body, h); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
}

func TestWebhookMetrics(t *testing.T) {
	o := options(t, &publications{})
	registry := prometheus.NewRegistry()
	o.Registerer, o.ApolloSecrets, o.HiveSecrets, o.Generic = registry, nil, nil, nil
	srv := httptest.NewServer(newWebhooks(t, o))
	defer srv.Close()
	for _, name := range []string{"schema-updated", "replayed", "other-graph", "wrong-secret", "malformed-body"} {
		sendSample(t, srv.URL, "cosmo/"+name)
	}
	want := `# HELP planwarm_webhooks_total Deliveries of schema registries, by sender and by what became of them.
# TYPE planwarm_webhooks_total counter
planwarm_webhooks_total{outcome="accepted",sender="cosmo"} 1
planwarm_webhooks_total{outcome="duplicate",sender="cosmo"} 1
planwarm_webhooks_total{outcome="failed",sender="cosmo"} 0
planwarm_webhooks_total{outcome="ignored",sender="cosmo"} 1
planwarm_webhooks_total{outcome="malformed",sender="cosmo"} 1
planwarm_webhooks_total{outcome="refused",sender="cosmo"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestWebhookOptions(t *testing.T) {
	for name, change := range map[string]func(*WebhookOptions){
		"no publications":     func(o *WebhookOptions) { o.Publications = nil },
		"no graphs":           func(o *WebhookOptions) { o.Graphs = nil },
		"no secrets":          func(o *WebhookOptions) { o.Generic.Secrets = nil },
		"header of no name":   func(o *WebhookOptions) { o.Generic.Header = "X Signature" },
		"no encoding":         func(o *WebhookOptions) { o.Generic.Encoding = "" },
		"registered by other": func(o *WebhookOptions) { o.Registerer = taken(t, *o) },
	} {
		o := options(t, &publications{})
		change(&o)
		if _, err := NewWebhooks(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// taken is a registry that has the webhooks' metrics already.
func taken(t *testing.T, o WebhookOptions) prometheus.Registerer {
	o.Registerer = prometheus.NewRegistry()
	newWebhooks(t, o)
	return o.Registerer
}
