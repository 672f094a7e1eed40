package schema

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestLoadTellsKinds(t *testing.T) {
	super, cosmo := loadFile(t, "supergraph.graphql"), loadFile(t, "cosmo-execution-config.json")
	if super.Kind() != KindSupergraph || super.Supergraph() != string(fixture(t, "supergraph.graphql")) || super.Version() != "" {
		t.Errorf("supergraph: kind %s", super.Kind())
	}
	if strings.Contains(super.ClientSDL(), "join__") {
		t.Error("the client schema has join directives")
	}
	if cosmo.Kind() != KindCosmo || cosmo.Supergraph() != "" || cosmo.Version() != "5b0c1d6e-0001-4a51-9c1e-57073f001001" {
		t.Errorf("cosmo: kind %s, version %s", cosmo.Kind(), cosmo.Version())
	}
	sdl, err := Load([]byte("\xef\xbb\xbf" + cosmo.ClientSDL()))
	if err != nil || sdl.Kind() != KindSDL || sdl.ClientSDL() != cosmo.ClientSDL() {
		t.Errorf("sdl with a byte order mark: %v", err)
	}
}

func TestIDChangesWithWhatDecidesPlans(t *testing.T) {
	one, two := loadFile(t, "supergraph.graphql"), loadFile(t, "supergraph-v2.graphql")
	if one.ID() == two.ID() || !strings.HasPrefix(one.ID(), "sha256:") || len(one.ID()) != 71 {
		t.Errorf("ids %s and %s", one.ID(), two.ID())
	}
	var config map[string]any
	if err := json.Unmarshal(fixture(t, "cosmo-execution-config.json"), &config); err != nil {
		t.Fatal(err)
	}
	load := func() *Schema {
		data, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Load(data)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	first := load()
	config["version"] = "another"
	if again := load(); again.ID() != first.ID() || again.Version() != "another" {
		t.Error("publishing the same configuration again is no change")
	}
	config["engineConfig"].(map[string]any)["defaultFlushInterval"] = "7"
	if load().ID() == first.ID() {
		t.Error("another engine configuration has the same id")
	}
	config["engineConfig"].(map[string]any)["graphqlClientSchema"] = sdlOne
	if s := load(); s.ClientSDL() != sdlOne {
		t.Error("a contract's client schema is not used")
	}
}

func TestLoadRefuses(t *testing.T) {
	for name, tt := range map[string]struct{ data, want string }{
		"nothing":                  {" \n", "empty"},
		"no GraphQL":               {"<html>", "line 1, column 1"},
		"a truncated schema":       {"type Query {\n  a: In", "line 2"},
		"an unknown type":          {"type Query { a: Missing }", "Missing"},
		"no query":                 {"type Thing { a: Int }", "no query type"},
		"broken JSON":              {`{"engineConfig": `, "read execution config"},
		"another JSON":             {`{"data": {}}`, "engineConfig is missing"},
		"a config without schema":  {`{"engineConfig": {}}`, "graphqlSchema is missing"},
		"a schema of a wrong type": {`{"engineConfig": {"graphqlSchema": 7}}`, "engineConfig"},
		"a broken supergraph":      {"enum join__Graph { A }\ntype Query { a: Int }", "read supergraph"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Load([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "load schema: ") {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	if _, err := Load(make([]byte, MaxBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %v", err)
	}
}
