package config

// Webhooks is the listener that schema registries call after a publish. A
// sender without a secret_file is off.
type Webhooks struct {
	Listen  string         `yaml:"listen"` // empty: off
	Cosmo   WebhookSecret  `yaml:"cosmo"`
	Apollo  WebhookSecret  `yaml:"apollo"`
	Hive    WebhookSecret  `yaml:"hive"` // a part of the path, or a bearer token: Hive signs nothing
	Generic GenericWebhook `yaml:"generic"`
}

// WebhookSecret is what a sender signs with.
type WebhookSecret struct {
	SecretFile string `yaml:"secret_file"`
}

// GenericWebhook is a sender of one's own.
type GenericWebhook struct {
	SecretFile string `yaml:"secret_file"`
	Header     string `yaml:"header"`   // of the signature
	Encoding   string `yaml:"encoding"` // hex or base64
	Prefix     string `yaml:"prefix"`   // before the signature
}

// WebhookNames is what the senders call a graph, where they do not call it by
// its name here. The generic sender always does.
type WebhookNames struct {
	Cosmo  []string `yaml:"cosmo"`  // id, name, or namespace/name
	Apollo []string `yaml:"apollo"` // graph@variant, or graph for any variant
	Hive   []string `yaml:"hive"`   // target, project/target or organization/project/target
}

// DefaultWebhooks is off, with a signature as most senders write it.
func DefaultWebhooks() Webhooks {
	return Webhooks{Generic: GenericWebhook{Header: "X-Signature-256", Encoding: "hex", Prefix: "sha256="}}
}

func (w Webhooks) check(k *checker) {
	k.address("webhooks.listen", w.Listen)
	k.secretFile("webhooks.cosmo.secret_file", w.Cosmo.SecretFile)
	k.secretFile("webhooks.apollo.secret_file", w.Apollo.SecretFile)
	k.secretFile("webhooks.hive.secret_file", w.Hive.SecretFile)
	k.secretFile("webhooks.generic.secret_file", w.Generic.SecretFile)
	k.oneOf("webhooks.generic.encoding", w.Generic.Encoding, "hex", "base64")
	if w.Generic.Header == "" {
		k.fault("webhooks.generic.header", "is empty")
	}
	if w.Listen != "" && w.Cosmo.SecretFile+w.Apollo.SecretFile+w.Hive.SecretFile+w.Generic.SecretFile == "" {
		k.fault("webhooks", "no sender has a secret_file: nobody could call")
	}
}

// WebhookNames returns what the senders call the graph: what is configured, or
// its own name and namespace.
func (g Graph) WebhookNames() WebhookNames {
	n := g.Webhooks
	if len(n.Cosmo) == 0 {
		n.Cosmo = []string{g.Namespace + "/" + g.Name}
		if id := g.Cosmo.FederatedGraphID; id != "" {
			n.Cosmo = append(n.Cosmo, id)
		}
	}
	if len(n.Apollo) == 0 {
		n.Apollo = []string{g.Name + "@" + g.Namespace}
		if g.Namespace == DefaultGraph().Namespace {
			n.Apollo = append(n.Apollo, g.Name+"@current") // Apollo's own default
		}
	}
	if len(n.Hive) == 0 {
		n.Hive = []string{g.Name, g.Name + "/" + g.Namespace}
	}
	return n
}
