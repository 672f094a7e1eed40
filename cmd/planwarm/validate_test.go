package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/manifest"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	body, err := manifest.Encode(manifest.Manifest{Graph: manifest.Graph{Namespace: "default", Name: "shop"}, Sequence: 4,
		Operations: []manifest.Entry{measuredEntry("Me", meText, "1", 3)}})
	if err != nil {
		t.Fatal(err)
	}
	s.write("m.json", string(body))
	s.write("pins.json", `{"format":"planwarm-pins/v1","graph":{"namespace":"default","name":"shop"},"sequence":1,"nonce":"n","pins":[]}`)
	s.write("cosmo.json", `{"operations":[{"request":{"query":"{ me { id } }"}}]}`)
	golden(t, s.must("validate", "./m.json", "./pins.json", "./cosmo.json", "./tabs.graphql", "./planwarm.yaml").out,
		`./m.json: valid manifest of default/shop: version 4, 1 operation, signature none
./pins.json: valid pins of default/shop: 0 pushed, 0 denied
./cosmo.json: valid operation list: 1 operation (checked: schema sha256:e3ed5cc0fa0e)
./tabs.graphql: valid GraphQL document: 2 operations (checked: schema sha256:e3ed5cc0fa0e)
./planwarm.yaml: valid configuration: 1 graph
`)
	golden(t, s.must("validate").out, "./planwarm.yaml: valid configuration: 1 graph\n")
	if got := s.must("validate", "./m.json", "-q"); got.out != "" {
		t.Errorf("a quiet check says %q", got.out)
	}
	s.runWith("{ me { nope } }", "validate", "-").check(t, exitRefused, `stdin:1:8: Cannot query field "nope"`)

	s.write("bad.graphql", `{ product(id: "p") { nope search(text: 5) } }`)
	s.write("cut.json", string(body[:60]))
	s.write("v9.json", `{"format":"planwarm/v9"}`)
	s.write("rules.json", `{"format":"planwarm/v1","graph":{"namespace":"","name":""},"sequence":1,"generatedAt":"2026-03-01T09:30:00Z","operations":[{"request":{"query":""}}]}`)
	s.write("badpins.json", strings.Replace(`{"format":"planwarm-pins/v1","graph":{"namespace":"a","name":"b"},"pins":[{"id":"1"}]}`, "\n", "", -1))
	s.write("map.json", `{"a":7}`)
	s.write("empty.graphql", "")
	got := s.refused(exitRefused, []string{
		`./bad.graphql:1:22: Cannot query field "nope" on type "Product".`, "./cut.json: malformed", "./v9.json: decode manifest: unknown format",
		"operations[0].request: no query", "operations[0].planwarm.source: not one of", "pins[0].id: not the id", "./map.json: unknown format", "./empty.graphql: it is empty",
	}, "validate", "--json", "./m.json", "./bad.graphql", "./cut.json", "./v9.json", "./rules.json", "./badpins.json", "./map.json", "./empty.graphql")
	results := decode[[]checked](t, got.out)
	if len(results) != 8 || !results[0].Valid || results[1].Valid || results[1].Faults[0].Rule != "FieldsOnCorrectType" || results[4].Kind != kindManifest {
		t.Errorf("results are %+v", results)
	}
	s.refused(exitNotFound, []string{"no such file"}, "validate", "./nosuch.json")
}

func TestValidateSchemas(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.write("other.graphql", "type Query { other: Int }")
	s.write("other-op.graphql", "{ other }")
	s.must("validate", "./other-op.graphql", "--schema", "./other.graphql")
	s.refused(exitRefused, []string{`Cannot query field "other"`}, "validate", "./other-op.graphql", "--graph", "shop")
	s.refused(exitNotFound, []string{"graph default/nope is not configured"}, "validate", "./other-op.graphql", "--graph", "nope")
	s.refused(exitFailed, []string{"load schema"}, "validate", "./other-op.graphql", "--schema", "./nosuch.graphql")
	s.write("planwarm.yaml", "log: { level: warn }")
	s.must("validate", "./other-op.graphql").check(t, exitDone, "checked: syntax only")
}

func TestValidateConfiguration(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.write("bad.yaml", "graphs:\n  - name: a b\n    foo: 1\n    manifest: { max_operations: -1, rank: x }\nlog: { level: loud }\n")
	want := []string{"graphs[0].foo: unknown key", "graphs[0].name", "graphs[0].schema: needs file or url", "max_operations: -1", `rank: "x"`, `log.level: "loud"`}
	got := s.refused(exitRefused, want, "validate", "./bad.yaml", "--json")
	if r := decode[[]checked](t, got.out); len(r) != 1 || len(r[0].Faults) != 6 {
		t.Errorf("results are %+v", r)
	}
	s.write("planwarm.yaml", "log: { level: loud }")
	s.refused(exitUsage, []string{`log.level: "loud"`}, "list", "shop") // a command that is in its way
}

func TestSignatures(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	s.write("key.pub", publicPEM(t, public))
	s.write("other.pub", publicPEM(t, other))
	m := manifest.Manifest{Format: manifest.Format, Graph: manifest.Graph{Namespace: "default", Name: "shop"}, Sequence: 4}
	signed, err := manifest.Sign(m, keyID(public), private)
	if err != nil {
		t.Fatal(err)
	}
	body, err := manifest.Encode(signed)
	if err != nil {
		t.Fatal(err)
	}
	s.write("m.json", string(body))
	s.write("changed.json", strings.Replace(string(body), `"sequence":4`, `"sequence":5`, 1))
	s.must("validate", "./m.json", "--verify-key", "./key.pub").check(t, exitDone, "good")
	s.must("inspect", "./m.json", "--verify-key", "./key.pub").check(t, exitDone, "good")
	s.must("inspect", "./m.json").check(t, exitDone, "not checked")
	for _, command := range []string{"validate", "inspect"} {
		s.refused(exitRefused, []string{"signature refused"}, command, "./m.json", "--verify-key", "./other.pub")
		s.refused(exitRefused, []string{"signature refused"}, command, "./changed.json", "--verify-key", "./key.pub")
	}
}

func publicPEM(t *testing.T, key ed25519.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}
