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
