package config

import (
	"fmt"
	"strings"
	"testing"
)

// faultsOf are what is said of these routers.
func faultsOf(t *testing.T, routers string) string {
	t.Helper()
	_, err := Parse([]byte("graphs: [{name: a, schema: {file: s}, routers: ["+routers+"]}]"), none)
	if err == nil {
		return ""
	}
	return err.Error()
}

// Execution is asked for in words, and by the one kind that needs it.
func TestAllowExecution(t *testing.T) {
	for routers, want := range map[string]string{
		`{kind: grafbase, url: "http://r/"}`:                           "graphs[0].routers[0].allow_execution: is false",
		`{kind: grafbase, url: "http://r/", allow_execution: true}`:    "",
		`{kind: apollo, url: "http://r/", allow_execution: true}`:      `allow_execution: is true: a router of kind "apollo"`,
		`{kind: gqlgen, url: "http://r/"}`:                             "",
		`{kind: gqlgen, url: "http://r/", allow_execution: true}`:      `a router of kind "gqlgen" is never warmed by executing`,
		`{kind: grafbase, url: "http://r/", allow_execution: "maybe"}`: "line 1",
	} {
		if got := faultsOf(t, routers); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", routers, got, want)
		}
	}
}

func TestResolve(t *testing.T) {
	for routers, want := range map[string]string{
		`{url: "http://r.local:3002/", resolve: true}`:          "",
		`{url: "http://127.0.0.1:3002/", resolve: true}`:        "graphs[0].routers[0].resolve: is true: the host of url is an address",
		`{url: "http://[::1]:3002/", resolve: true}`:            "the host of url is an address",
		`{url: "http://bücher.example/", resolve: true}`:        "ASCII form",
		`{url: "http://r/", resolve_interval: 10ms}`:            "graphs[0].routers[0].resolve_interval: 10ms is below 1s",
		`{url: "http://r/"}, {url: "http://r/", resolve: true}`: "graphs[0].routers: two routers have the same url",
	} {
		if got := faultsOf(t, routers); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", routers, got, want)
		}
	}
	var many []string
	for i := range MaxRouters + 1 {
		many = append(many, fmt.Sprintf(`{url: "http://r%d/"}`, i))
	}
	if got := faultsOf(t, strings.Join(many, ",")); !strings.Contains(got, "65 routers are more than 64") {
		t.Errorf("too many: %q", got)
	}
	if got := faultsOf(t, strings.Join(many[1:], ",")); got != "" {
		t.Errorf("as many as there may be: %q", got)
	}
}
