package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWebhooks(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := minimal + "    webhooks: { apollo: [shop@production] }\n    cosmo: { organization_id: o, federated_graph_id: g, token_file: " + secret + " }\n" +
		"webhooks: { listen: \":7663\", cosmo: { secret_file: " + secret + " } }\n"
	c, err := Parse([]byte(text), none)
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Webhooks; w.Listen != ":7663" || w.Generic.Encoding != "hex" || w.Generic.Prefix != "sha256=" {
		t.Errorf("%+v", w)
	}
	n := c.Graphs[0].WebhookNames()
	if !slices.Equal(n.Cosmo, []string{"default/storefront", "g"}) || !slices.Equal(n.Apollo, []string{"shop@production"}) ||
		!slices.Equal(n.Hive, []string{"storefront", "storefront/default"}) {
		t.Errorf("%+v", n)
	}
	n = Graph{Namespace: "default", Name: "shop"}.WebhookNames()
	if !slices.Equal(n.Apollo, []string{"shop@default", "shop@current"}) {
		t.Errorf("%+v", n)
	}
}

func TestWebhookFaults(t *testing.T) {
	_, err := Parse([]byte(minimal+"webhooks: { listen: nowhere, generic: { header: \"\", encoding: octal, secret_file: /none }, cosmos: {} }"), none)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{`webhooks.listen: "nowhere"`, "webhooks.generic.header: is empty", `webhooks.generic.encoding: "octal"`, "webhooks.generic.secret_file", "webhooks.cosmos: unknown key"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nhas no %s", err, want)
		}
	}
	if _, err = Parse([]byte(minimal+"webhooks: { listen: \":7663\" }"), none); err == nil || !strings.Contains(err.Error(), "no sender") {
		t.Errorf("a listener that nobody can call: %v", err)
	}
}
