package config

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withProfiles is a configuration with a graph's profiles, indented by a tab's worth.
func withProfiles(profiles string) []byte {
	return []byte(minimal + "    profiles:\n      " + strings.ReplaceAll(strings.TrimSpace(profiles), "\n", "\n      ") + "\n")
}

func TestProfiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("Bearer hunter2-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { return "hunter2-env", name == "FLAG" }
	c, err := Parse(withProfiles("beta:\n  headers: { X-Feature-Flag: hunter2, x-tenant: \"${FLAG}\" }\n  header_files: { Authorization: "+file+" }\nstaff_2: { headers: { Cookie: a=b } }"), env)
	if err != nil {
		t.Fatal(err)
	}
	p := c.Graphs[0].Profiles["beta"]
	if len(c.Graphs[0].Profiles) != 2 || p.Headers["X-Feature-Flag"] != "hunter2" || p.Headers["x-tenant"] != "hunter2-env" || p.HeaderFiles["Authorization"] != file {
		t.Fatalf("%+v", c.Graphs[0].Profiles)
	}
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"X-Feature-Flag: '***'", "x-tenant: '***'", "Cookie: '***'", "Authorization: " + file} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hunter2") || p.Headers["x-tenant"] != "hunter2-env" {
		t.Errorf("printed:\n%s", out.String())
	}
}

func TestProfileFaults(t *testing.T) {
	const value = "hunter2"
	var many, headers strings.Builder
	for i := range maxProfiles + 1 {
		fmt.Fprintf(&many, "p%d: { headers: { A: b } }\n", i)
	}
	for i := range maxHeaders + 1 {
		fmt.Fprintf(&headers, "X-%d: hunter2, ", i)
	}
	for profiles, want := range map[string]string{
		"Beta: { headers: { A: hunter2 } }": `graphs[0].profiles: "Beta" is not a name`,
		"beta: {}":                          "graphs[0].profiles.beta: has 0 headers, not 1 to 16",
		"beta: { headers: { " + headers.String() + " } }": "graphs[0].profiles.beta: has 17 headers",
		many.String():                                                "graphs[0].profiles: 33 profiles, at most 32",
		"beta: { header: { A: hunter2 } }":                           "graphs[0].profiles.beta.header: unknown key",
		"beta: { headers: { \"A b\": hunter2 } }":                    `"A b" is not the name of a header`,
		"beta: { headers: { \"\": hunter2 } }":                       `"" is not the name of a header`,
		"beta: { headers: { x-wg-trace: hunter2 } }":                 `"x-wg-trace" is not a profile's to set`,
		"beta: { headers: { Connection: hunter2 } }":                 `"Connection" is not a profile's to set`,
		"beta: { headers: { hive-expose-query-plan: hunter2 } }":     `"hive-expose-query-plan" is not a profile's to set`,
		"beta: { headers: { A: hunter2 }, header_files: { a: /x } }": `graphs[0].profiles.beta.header_files: "a" is there twice`,
		"beta: { headers: { A: \"hunter2\\nB: c\" } }":               `graphs[0].profiles.beta.headers: the value of "A" is empty, too long or cannot be sent`,
		"beta: { headers: { A: \"\" } }":                             `the value of "A" is empty`,
		"beta: { headers: { A: [hunter2] } }":                        "graphs[0].profiles.beta.headers.A",
		"beta: { headers: hunter2 }":                                 "graphs[0].profiles.beta.headers: is not a mapping",
		"beta: hunter2":                                              "graphs[0].profiles.beta: is not a mapping",
		"beta: { header_files: { A: \"\" } }":                        `the file of "A" is not named`,
		"beta: { header_files: { A: /no/such/file } }":               `graphs[0].profiles.beta.header_files: the file that it names cannot be read`,
	} {
		_, err := Parse(withProfiles(profiles), none)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: no %q in %v", profiles, want, err)
		}
		if err != nil && strings.Contains(err.Error(), value) {
			t.Errorf("the value is repeated: %v", err)
		}
	}
}

// What planners set themselves is not a profile's to set.
func TestReservedHeaders(t *testing.T) {
	for _, name := range []string{
		"x-wg-skip-loader", "X-WG-Token", "X-WG-Include-Query-Plan", "X-Planwarm-Token", "Apollo-Expose-Query-Plan", "Hive-Expose-Query-Plan",
		"Graphql-Client-Name", "GraphQL-Client-Version", "apollographql-client-name", "X-Grafbase-Client-Name", "User-Agent",
		"Host", "Content-Type", "Content-Length", "Content-Encoding", "Accept", "Accept-Encoding", "Transfer-Encoding", "TE", "Trailer",
		"Upgrade", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "Expect",
	} {
		if !ReservedHeader(name) {
			t.Errorf("%s can be set", name)
		}
	}
	for _, name := range []string{"Authorization", "X-Feature-Flag", "Cookie", "Accept-Language", "X-Tenant", http.CanonicalHeaderKey("traceparent")} {
		if ReservedHeader(name) {
			t.Errorf("%s cannot be set", name)
		}
	}
}

func TestValidHeaderValue(t *testing.T) {
	for value, want := range map[string]bool{
		"Bearer x": true, "a\tb": true, "é": true, strings.Repeat("x", maxHeaderValue): true,
		"": false, " a": false, "a\t": false, "a\r\nb": false, "a\x00": false, "\x7f": false, strings.Repeat("x", maxHeaderValue+1): false,
	} {
		if got := ValidHeaderValue(value); got != want {
			t.Errorf("%.20q: %v", value, got)
		}
	}
}
