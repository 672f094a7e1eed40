package config

import (
	"strings"
	"testing"
)

// What would spin, never end, collide or show a secret is refused, by its key.
func TestParseRefusesWhatCannotWork(t *testing.T) {
	graph := func(rest string) string { return "graphs: [ { name: a, schema: { file: s }, " + rest + " } ]" }
	for text, want := range map[string]string{
		graph("warm: { operations_per_second: .nan }"):                                              "warm.operations_per_second: NaN",
		graph("warm: { operations_per_second: .inf }"):                                              "warm.operations_per_second: +Inf",
		graph("routers: [ { url: 'http://r/', pull: { items_per_second: .nan } } ]"):                "pull.items_per_second: NaN",
		graph("manifest: { max_share_per_client: 0 }"):                                              "graphs[0].manifest.max_share_per_client: 0, want",
		graph("manifest: { min_planning_time: 5s, max_planning_time: 1s }"):                         "graphs[0].manifest.max_planning_time: 1s, below",
		graph("manifest: { rank: saved, horizon: 0s }"):                                             "graphs[0].manifest.horizon: 0s, want",
		graph("manifest: { manual_share: .nan }"):                                                   "graphs[0].manifest.manual_share: NaN, want",
		graph("warm: { poll: 1ns }"):                                                                "warm.poll: 1ns is shorter",
		graph("manifest: { recompute_interval: 1us }"):                                              "manifest.recompute_interval: 1µs is shorter",
		"graphs: [ { name: a, schema: { file: s, poll: 1ms } } ]":                                   "schema.poll: 1ms is shorter",
		"graphs: [ { name: a-, schema: { file: s } } ]":                                             `graphs[0].name: "a-"`,
		"graphs: [ { name: a, namespace: " + strings.Repeat("n", 101) + ", schema: { file: s } } ]": "graphs[0].namespace",
		"instance: a/b":                       `instance: "a/b"`,
		"admin: { listen: '127.0.0.1:7661' }": `admin.listen: "127.0.0.1:7661" is the address of cdn.listen`,
		graph("routers: [ { url: 'http://user:pa55word@r/graphql' } ]"): "routers[0].url: has user information",
		graph("routers: [ { url: 'http://r/graphql?key=pa55word' } ]"):  "routers[0].url: has user information",
	} {
		_, err := Parse([]byte(text), none)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// Ports that are picked, and listeners that are off, collide with nothing.
func TestParseLetsPickedPortsBe(t *testing.T) {
	_, err := Parse([]byte(`{ instance: a, admin: { listen: "127.0.0.1:0" }, health: { listen: "127.0.0.1:0" }, cdn: { enabled: false, listen: "127.0.0.1:4318" } }`), none)
	if err != nil {
		t.Error(err)
	}
}

// A file is one mapping, and what does not fit is told in words of YAML.
func TestParseRefusesOtherDocuments(t *testing.T) {
	for text, want := range map[string]string{
		"data_dir: x\n---\nbogus: y\n":        "line 2: a second document begins",
		"data_dir: x\n---\n":                  "a second document begins",
		"[a, b]":                              "line 1: the document is not a mapping of keys",
		"text":                                "line 1: the document is not a mapping of keys",
		"telemetry: { max_operations: many }": `line 1: telemetry.max_operations: "many" is not a whole number`,
		"cdn: { enabled: perhaps }":           `line 1: cdn.enabled: "perhaps" is not true or false`,
		"admin: [1]":                          "line 1: admin: is not a mapping of keys",
		"roles: publish":                      `line 1: roles: "publish" is not a list`,
		"log: { level: [info] }":              "line 1: log.level: is not a text",
		"graphs: [ { name: a, manifest: { manual_share: a lot } } ]": `manifest.manual_share: "a lot" is not a number`,
	} {
		_, err := Parse([]byte(text), none)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// Who gives a secret where a file is asked for, or puts one into a URL, finds
// the key in the log and not the secret.
func TestParseRepeatsNoSecret(t *testing.T) {
	env := func(string) (string, bool) { return "pa55word", true }
	for text, want := range map[string]string{
		"admin: { token_file: '${TOKEN}' }":                                                                     "admin.token_file: the file that it names cannot be read: no such file",
		"graphs: [ { name: a, schema: { file: s }, cosmo: { jwt_secret_file: pa55word } } ]":                    "graphs[0].cosmo.jwt_secret_file: the file",
		"graphs: [ { name: a, schema: { file: s }, routers: [ { url: 'http://r/', token_file: pa55word } ] } ]": "graphs[0].routers[0].token_file: the file",
		"graphs: [ { name: a, schema: { file: s, token_file: pa55word } } ]":                                    "graphs[0].schema.token_file: the file",
		"bucket: { access_key_file: pa55word, secret_key_file: pa55word }":                                      "bucket.secret_key_file: the file",
		"webhooks: { cosmo: { secret_file: pa55word } }":                                                        "webhooks.cosmo.secret_file: the file",
		"bucket: { url: 's3://key:pa55word@bucket/prefix' }":                                                    "bucket.url: has user information",
		"bucket: { url: 's3://bucket', endpoint: 'https://key:pa55word@s3.example' }":                           "bucket.endpoint: has user information",
	} {
		_, err := Parse([]byte(text), env)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}
