package router

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

func TestReadRequest(t *testing.T) {
	post := func(body, contentType string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		return r
	}
	get := func(query string) *http.Request {
		return httptest.NewRequest(http.MethodGet, "/graphql?"+query, nil)
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		want    error
	}{
		{"post", post(`{"query":"{a}","variables":{"x":1}}`, "application/json; charset=utf-8"), 200, nil},
		{"post without a content type", post(`{"query":"{a}"}`, ""), 200, nil},
		{"post of a form", post(`query=a`, "application/x-www-form-urlencoded"), 415, errMediaType},
		{"malformed", post(`{"query":"secret`, "application/json"), 400, errMalformed},
		{"no query", post(`{}`, "application/json"), 400, errNoQuery},
		{"too large", post(strings.Repeat(" ", maxBody+1), "application/json"), 413, errTooLarge},
		{"get", get("query=" + url.QueryEscape("{a}") + "&variables=" + url.QueryEscape(`{"x":1}`)), 200, nil},
		{"get with malformed variables", get("query=a&variables=%7B"), 400, errMalformed},
		{"get without a query", get(""), 400, errNoQuery},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, status, err := readRequest(httptest.NewRecorder(), c.request)
			if status != c.status || !errors.Is(err, c.want) {
				t.Errorf("status %d, %v; want %d, %v", status, err, c.status, c.want)
			}
			if c.want == nil && in.Query != "{a}" {
				t.Errorf("query %q", in.Query)
			}
		})
	}
}

func TestDecide(t *testing.T) {
	header := func(pairs ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			h.Set(pairs[i], pairs[i+1])
		}
		return h
	}
	for _, c := range []struct {
		mode PlanOnly
		h    http.Header
		want planOnlyDecision
	}{
		{PlanOnlyIgnored, header(), execute},
		{PlanOnlyIgnored, header(headerSkipLoader, "true"), ignored},
		{PlanOnlyAllowed, header(), execute},
		{PlanOnlyAllowed, header(headerSkipLoader, "true"), planOnly},
		{PlanOnlyAllowed, header(headerSkipLoader, "false"), execute},
		{PlanOnlyFailClosed, header(), execute},
		{PlanOnlyFailClosed, header(headerSkipLoader, "true"), refuse},
		{PlanOnlyFailClosed, header(headerSkipLoader, "true", headerToken, "wrong"), refuse},
		{PlanOnlyFailClosed, header(headerSkipLoader, "true", headerToken, "right"), planOnly},
	} {
		if got := (Options{PlanOnly: c.mode, PlanOnlyToken: "right"}).decide(c.h); got != c.want {
			t.Errorf("%s with %v: %d, want %d", c.mode, c.h, got, c.want)
		}
	}
}

func TestOptionsTellEveryFault(t *testing.T) {
	negative := -1.0
	_, err := Options{PlanCacheSize: -1, PlanOnly: "perhaps", Warmup: Warmup{CDN: "nowhere", Workers: -1, ItemsPerSecond: &negative},
		Telemetry: Telemetry{OTLP: "ftp://x", Usage: ":"}}.withDefaults()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, key := range []string{"supergraph", "planCacheSize", "planOnly", "warmup.workers", "warmup.itemsPerSecond", "warmup.organization", "warmup.cdn", "telemetry.otlp", "telemetry.usage"} {
		if !strings.Contains(err.Error(), key) {
			t.Errorf("%s is not named in: %v", key, err)
		}
	}
	o, err := Options{Supergraph: "x"}.withDefaults()
	if err != nil || o.PlanCacheSize != 1024 || o.Warmup.Workers != 8 || *o.Warmup.ItemsPerSecond != 50 || o.PlanOnly != PlanOnlyIgnored {
		t.Errorf("defaults %+v, %v", o, err)
	}
}

func TestDecodeConfig(t *testing.T) {
	c, err := DecodeConfig(strings.NewReader(`{"listen":"127.0.0.1:0","supergraphFile":"a","warmup":{"cdn":"http://c","itemsPerSecond":0,"timeout":"5s"},"planOnly":"allowed"}`))
	if err != nil || c.SupergraphFile != "a" || *c.Warmup.ItemsPerSecond != 0 || c.Warmup.Timeout != 5e9 || c.PlanOnly != PlanOnlyAllowed {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{`{"unknown":1}`, `{"warmup":{"timeout":"soon"}}`, `{`} {
		if _, err := DecodeConfig(strings.NewReader(bad)); err == nil {
			t.Errorf("%s: accepted", bad)
		}
	}
}
