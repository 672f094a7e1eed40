package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func none(string) (string, bool) { return "", false }

const minimal = `
graphs:
  - name: storefront
    schema: { file: supergraph.graphql }
    routers: [ { url: "http://127.0.0.1:3002/graphql" } ]
`

func TestParseFillsDefaults(t *testing.T) {
	c, err := Parse([]byte(minimal), none)
	if err != nil {
		t.Fatal(err)
	}
	g := c.Graphs[0]
	if g.Namespace != "default" || g.Manifest.MaxOperations != 100 || !g.Warm.Merge || g.Manifest.MinPlanningTime.Std() != time.Millisecond {
		t.Errorf("graph defaults: %+v", g)
	}
	if r := g.Routers[0]; r.Kind != RouterCosmo || r.PlanCacheSize != 1024 || r.Pull.ItemsPerSecond != 50 {
		t.Errorf("router defaults: %+v", r)
	}
	if !c.Publishes() || !c.Warms() || c.Instance == "" || c.Bucket.URL != EmbeddedBucket {
		t.Errorf("defaults: %+v", c)
	}
}

func TestParseEmptyIsTheDefault(t *testing.T) {
	c, err := Parse(nil, none)
	if err != nil {
		t.Fatal(err)
	}
	if c.CDN.Listen != Default().CDN.Listen {
		t.Errorf("cdn.listen = %q", c.CDN.Listen)
	}
}

// Every fault is named in one go, with its key and value.
func TestParseNamesEveryFault(t *testing.T) {
	_, err := Parse([]byte(`
roles: [publish, cook]
telemetri: {}
graphs:
  - name: "a/b"
    schema: { file: x.graphql, pol: 5s }
    manifest: { max_operations: 0, rank: p99, window: 10000h }
    warm: { deadline: soon }
    routers: [ { url: "ftp://x" } ]
admin: { listen: "0.0.0.0:7660" }
bucket: { url: "s3://b", region: "${NO_SUCH_REGION}" }
`), none)
	var fs Faults
	if !errors.As(err, &fs) {
		t.Fatalf("error is %T: %v", err, err)
	}
	for _, want := range []string{
		`roles[1]: "cook"`, "line 3: telemetri: unknown key", `graphs[0].name: "a/b"`, "line 6: graphs[0].schema.pol: unknown key",
		"graphs[0].manifest.max_operations: 0", `graphs[0].manifest.rank: "p99"`, "graphs[0].manifest.window: 10000h0m0s",
		`line 8: graphs[0].warm.deadline: "soon" is not a duration`, "graphs[0].routers[0].url: not a URL", `admin.listen: "0.0.0.0:7660"`, "NO_SUCH_REGION",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no fault %q in:\n%v", want, err)
		}
	}
}

func TestParseTakesEnvironmentValuesAsValuesOnly(t *testing.T) {
	env := func(name string) (string, bool) {
		v, ok := map[string]string{"N": "7", "EVIL": "x\nadmin: {listen: \":1\"}", "NAME": "storefront"}[name]
		return v, ok
	}
	c, err := Parse([]byte("bucket: {region: \"${EVIL}\"}\ngraphs:\n  - name: ${NAME}\n    schema: {file: s}\n    manifest: {max_operations: \"${N}\"}\n"), env)
	if err != nil {
		t.Fatal(err)
	}
	if c.Graphs[0].Manifest.MaxOperations != 7 || c.Graphs[0].Name != "storefront" {
		t.Errorf("values not put in: %+v", c.Graphs[0])
	}
	if c.Admin.Listen != Default().Admin.Listen || !strings.Contains(c.Bucket.Region, "admin") {
		t.Errorf("a value changed the structure: admin.listen %q, region %q", c.Admin.Listen, c.Bucket.Region)
	}
}

func TestPrintHasNoSecrets(t *testing.T) {
	dir := t.TempDir()
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("s3cr3t-token"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse([]byte("admin: {token_file: "+token+"}\ncdn: {url: \"https://user:pa55word@cdn.example/x?sig=abcdef\"}\n"), none)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cr3t-token", "pa55word", "abcdef"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%q is printed", secret)
		}
	}
	if !strings.Contains(out.String(), token) || !strings.Contains(out.String(), "64MiB") {
		t.Errorf("effective values missing:\n%s", out.String())
	}
}

// What is printed is itself a configuration, and the same one.
func TestPrintRoundTrips(t *testing.T) {
	c, err := Parse([]byte(minimal), none)
	if err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	if err := c.Print(&first); err != nil {
		t.Fatal(err)
	}
	again, err := Parse(first.Bytes(), none)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Print(&second); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("first:\n%s\nsecond:\n%s", first.String(), second.String())
	}
}

func TestBytes(t *testing.T) {
	for in, want := range map[string]Bytes{"64MiB": 64 << 20, "1.5KiB": 1536, "10MB": 10_000_000, "77": 77, "2 GiB": 2 << 30} {
		c, err := Parse([]byte("telemetry: {max_text: "+in+"}"), none)
		if err != nil || c.Telemetry.MaxText != want {
			t.Errorf("%s = %d, %v, want %d", in, c.Telemetry.MaxText, err, want)
		}
	}
	for _, in := range []string{"-1", "x", "NaN", "1e300GiB"} {
		if _, err := Parse([]byte("telemetry: {max_text: "+in+"}"), none); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte("graphs: [{name: ${X}}]\nroles: &a [publish]\nlog: *a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, func(string) (string, bool) { return "v", true })
		if err == nil && len(c.Roles) == 0 {
			t.Error("accepted without a role")
		}
	})
}
