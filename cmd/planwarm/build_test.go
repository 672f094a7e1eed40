package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

func TestBuildRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	good := capturesDir + "small/traces-http"
	body, err := os.ReadFile(capturesDir + "small/traces-http/traces-002.pb")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"no schema":             {[]string{"--otlp", good, "--schema", ""}, exitUsage, "--schema"},
		"nothing given":         {nil, exitUsage, "nothing to build from"},
		"a stray argument":      {[]string{"--otlp", good, "more.pb"}, exitUsage, `"more.pb"`},
		"several faults":        {[]string{"--otlp", good, "--max", "0", "--rank", "best", "--window", "1s"}, exitUsage, "rank"},
		"no time":               {[]string{"--otlp", good, "--now", "yesterday"}, exitUsage, "--now"},
		"json without a file":   {[]string{"--otlp", good, "--json"}, exitUsage, "-o"},
		"a missing file":        {[]string{"--otlp", filepath.Join(dir, "none.pb")}, exitNotFound, "none.pb"},
		"a pattern of nothing":  {[]string{"--otlp", filepath.Join(dir, "*.none")}, exitNotFound, "*.none"},
		"an empty folder":       {[]string{"--otlp", filepath.Join(dir, "empty")}, exitRefused, "empty"},
		"noise":                 {[]string{"--otlp", write("noise.pb", noise)}, exitRefused, "noise.pb"},
		"a truncated body":      {[]string{"--otlp", write("cut.pb", body[:len(body)/2])}, exitRefused, "cut.pb"},
		"a truncated gzip":      {[]string{"--otlp", write("cut.pb.gz", zipped(t, body)[:500])}, exitRefused, "cut.pb.gz"},
		"a gzip bomb":           {[]string{"--otlp", write("bomb.pb.gz", zipped(t, make([]byte, 65<<20)))}, exitRefused, "bomb.pb.gz"},
		"noise as usage":        {[]string{"--graphqlmetrics", write("usage.pb", noise)}, exitRefused, "usage.pb"},
		"no GraphQL":            {[]string{"--operations", write("a.graphql", []byte("query A {\n  me {\n"))}, exitRefused, "a.graphql:"},
		"JSON of another kind":  {[]string{"--operations", write("b.json", []byte(`{"a": 1}`))}, exitRefused, "b.json: neither"},
		"an unknown format":     {[]string{"--operations", write("c.json", []byte(`{"format": "other/v1", "operations": []}`))}, exitRefused, "c.json"},
		"a schema that is none": {[]string{"--otlp", good, "--schema", write("s.graphql", []byte("type {"))}, exitRefused, "s.graphql"},
	} {
		var out, errs bytes.Buffer
		code := run(append([]string{"build", "--schema", supergraph}, c.args...), strings.NewReader(""), &out, &errs)
		var f failure
		if slices.Contains(c.args, "--json") && json.Unmarshal(out.Bytes(), &f) == nil && f.ExitCode == code {
			out.Reset() // it is the failure, and no manifest
		}
		if code != c.code || out.Len() != 0 || !strings.Contains(errs.String(), c.says) {
			t.Errorf("%s: exit code %d, want %d and %q: %s", name, code, c.code, c.says, errs.String())
		}
	}
}

// JSON bodies, gzipped or not, give what protobuf gives.
func TestBuildTakesEveryEncoding(t *testing.T) {
	metric := capturesDir + "small/metrics-http-delta/"
	text, err := os.ReadFile(metric + "planning-time.json")
	if err != nil {
		t.Fatal(err)
	}
	packed := filepath.Join(t.TempDir(), "planning-time.json.gz")
	if err := os.WriteFile(packed, zipped(t, text), 0o600); err != nil {
		t.Fatal(err)
	}
	want := buildFigures(t, "--otlp", metric+"metrics-001.pb.gz")
	if len(want) == 0 {
		t.Fatal("no plans")
	}
	same(t, "JSON", buildFigures(t, "--otlp", metric+"planning-time.json"), want)
	same(t, "gzipped JSON", buildFigures(t, "--otlp", packed), want)
	same(t, "both in one folder", buildFigures(t, "--otlp", metric), want)
}

// A manifest as Cosmo has it names no format. Its operations stand in the order
// given, each once, and the cap parks the last.
func TestBuildTakesOperationsInOrder(t *testing.T) {
	list := filepath.Join(t.TempDir(), "operations.json")
	text := `{"operations":[{"request":{"operationName":"B","query":"query B { me { tier } }"},"client":{"name":"web","version":"2"}},
		{"request":{"query":"{ me { id } }"}}, {"request":{"operationName":"B","query":"query B { me { tier } }"}}]}`
	if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	if err := os.Chtimes(list, at, at); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "--schema", supergraph, "--operations", operationsDir + "me.graphql", "--operations", list, "--max", "2"}
	out, told := runBuild(t, args...)
	m, err := manifest.DecodeBytes(out)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Operations) != 2 || m.Operations[0].Request.OperationName != "Me" || m.Operations[1].Request.OperationName != "B" ||
		m.Operations[1].Client == nil || m.Operations[1].Client.Name != "web" || !strings.Contains(told, "1 parked") {
		t.Errorf("%s\n%s", out, told)
	}
	// Nothing in the input tells a time: the files do.
	if info, err := os.Stat(operationsDir + "me.graphql"); err != nil || !m.GeneratedAt.Equal(info.ModTime()) && !m.GeneratedAt.Equal(at) {
		t.Errorf("generated at %s", m.GeneratedAt)
	}
	if again, _ := runBuild(t, args...); !bytes.Equal(out, again) {
		t.Error("the same input gave another manifest")
	}
}

func TestBuildTellsAsJSON(t *testing.T) {
	out := filepath.Join(t.TempDir(), "m.json")
	stdout, stderr := runBuild(t, "build", "--json", "--schema", supergraph, "-o", out, "--graph", "g", "-n", "ns",
		"--otlp", capturesDir+"defaults/metrics-http-cumulative", "--otlp", capturesDir+"warm/metrics-grpc-delta", "--graphqlmetrics", capturesDir+"small/graphqlmetrics/*.pb")
	var s buildSummary
	if err := json.Unmarshal(stdout, &s); err != nil {
		t.Fatal(err)
	}
	if s.Graph != (manifest.Graph{Namespace: "ns", Name: "g"}) || s.Input.Unattributed == 0 || s.Input.WarmUp == 0 || s.Input.Bodies != 6 || s.Now.IsZero() || stderr != "" {
		t.Errorf("%+v %s", s, stderr)
	}
	left := 0
	for _, r := range s.Reasons {
		left += r.Operations
	}
	if left == 0 || left != len(s.LeftOut) {
		t.Errorf("%d operations are counted as left out, %d are listed", left, len(s.LeftOut))
	}
}
