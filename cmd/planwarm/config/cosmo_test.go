package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCosmoFaults: what would harm a router is refused at start, in words.
func TestCosmoFaults(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	const one = `routers: [ { url: "http://127.0.0.1:3002/graphql" } ]`
	ids := `organization_id: org, federated_graph_id: graph, token_file: FILE`
	for name, c := range map[string]struct{ cosmo, routers, rest, want string }{
		"all of them":              {ids + `, signing_key_file: FILE, file: DIR/new.json, touch: FILE, touch_on_manifest: true, persisted_manifest: { object: warm/manifest.json, own: FILE }`, one, "", ""},
		"key without a token":      {`signing_key_file: FILE`, one, "", "a router shows its graph token"},
		"key without its file":     {ids + `, signing_key_file: DIR/none`, one, "", "signing_key_file: "},
		"key and a token":          {ids + `, signing_key_file: FILE`, `routers: [ { url: "http://127.0.0.1:3002/graphql", token_file: FILE } ]`, "", "excludes token_file of router"},
		"key without a listener":   {ids + `, signing_key_file: FILE`, one, "cdn: { enabled: false }", "routers register on its listener"},
		"file is a folder":         {`file: DIR`, one, "", "is not a file"},
		"touch of nothing":         {`touch: DIR/none`, one, "", "cosmo.touch: "},
		"touch without a path":     {`touch_on_manifest: true`, one, "", "needs touch"},
		"touch that nobody sees":   {`touch: FILE`, "", "", "must be seen before the next one"},
		"touch without a pause":    {`touch: FILE, touch_interval: 0s`, one, "", "touch_interval"},
		"persisted, flags":         {`persisted_manifest: { object: m.json }`, `routers: [ { url: "http://127.0.0.1:3002/graphql", pull: { feature_flags: 2 } } ]`, "", "the base graph is not re-warmed"},
		"persisted, only warming":  {`persisted_manifest: { object: m.json }`, one, "roles: [warm]", "needs the role publish"},
		"persisted, no cdn":        {`persisted_manifest: { object: m.json }`, one, "cdn: { enabled: false }", "needs cdn.enabled"},
		"persisted, a bad key":     {`persisted_manifest: { object: /m.json }`, one, "", "is not a key"},
		"persisted, own twice":     {`persisted_manifest: { object: m.json, own: FILE, own_object: o.json }`, one, "", "exclude each other"},
		"persisted, own is it":     {`persisted_manifest: { object: m.json, own_object: m.json }`, one, "", "must stay apart"},
		"persisted, own of what":   {`persisted_manifest: { own: FILE }`, one, "", "no meaning without object"},
		"a negative flag count":    {``, `routers: [ { url: "http://127.0.0.1:3002/graphql", pull: { feature_flags: -1 } } ]`, "", "feature_flags"},
		"a file of two graphs":     {`file: DIR/new.json`, one, "SECOND", "belongs to graph default/other too"},
		"an object of two graphs":  {`persisted_manifest: { object: m.json }`, one, "SECOND", "belongs to graph default/other too"},
		"another graph of its own": {`file: DIR/other.json`, one, "SECOND", ""},
	} {
		t.Run(name, func(t *testing.T) {
			second := ""
			if c.rest == "SECOND" {
				c.rest, second = "", "  - name: other\n    schema: { file: FILE }\n    cosmo: { file: DIR/new.json, persisted_manifest: { object: m.json } }\n"
			}
			text := fmt.Sprintf("graphs:\n  - name: storefront\n    schema: { file: FILE }\n    cosmo: { %s }\n    %s\n%s%s\n", c.cosmo, c.routers, second, c.rest)
			text = strings.NewReplacer("FILE", file, "DIR", dir).Replace(text)
			got, err := Parse([]byte(text), none)
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("%v, want %q", err, c.want)
			case err == nil && len(got.Graphs[0].Routers) == 1 && got.Graphs[0].Routers[0].Cosmo() != got.Graphs[0].Cosmo:
				t.Error("a router does not know its graph's cosmo section")
			}
		})
	}
}
