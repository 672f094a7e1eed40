package config

import (
	"os"

	"github.com/planwarm/planwarm/cdnsource"
)

// maxFeatureFlags bounds what a router may be said to have.
const maxFeatureFlags = 1000

// PersistedManifest is the object that Cosmo routers poll for persisted
// operations. It becomes the authoritative list of them.
type PersistedManifest struct {
	Object    string `yaml:"object"`     // key in the bucket, outside its prefix; empty: off
	Own       string `yaml:"own"`        // file with the owner's list, which is merged in
	OwnObject string `yaml:"own_object"` // or an object with it
}

// Cosmo is the Cosmo section of the router's graph.
func (r Router) Cosmo() Cosmo { return r.cosmo }

// checkCosmo checks what a graph alone tells.
func (g Graph) checkCosmo(k *checker, key string) {
	c := g.Cosmo
	key += ".cosmo"
	k.secretFile(key+".signing_key_file", c.SigningKeyFile)
	if c.SigningKeyFile != "" {
		if c.OrganizationID == "" || c.JWTSecretFile == "" && c.TokenFile == "" {
			k.fault(key+".signing_key_file", "needs organization_id, federated_graph_id, and jwt_secret_file or token_file: a router shows its graph token to be given the public key")
		}
		for _, r := range g.Routers {
			if r.Kind == RouterCosmo && r.TokenFile != "" {
				k.fault(key+".signing_key_file", "excludes token_file of router %s: tokens are signed for each request", withoutUser(r.URL))
			}
		}
	}
	if info, err := os.Stat(c.File); c.File != "" && err == nil && !info.Mode().IsRegular() {
		k.fault(key+".file", "%q is not a file, which the router reads", c.File)
	}
	k.file(key+".touch", c.Touch)
	k.above(key+".touch_interval", c.TouchInterval)
	if c.TouchOnManifest && c.Touch == "" {
		k.fault(key+".touch_on_manifest", "needs touch: the path of the execution config")
	}
	if c.Touch != "" && len(g.Routers) == 0 {
		k.fault(key+".touch", "needs routers: the reload after a touch must be seen before the next one")
	}
	g.checkPersisted(k, key+".persisted_manifest")
}

func (g Graph) checkPersisted(k *checker, key string) {
	p := g.Cosmo.PersistedManifest
	k.file(key+".own", p.Own)
	if p.Object == "" {
		if p.Own != "" || p.OwnObject != "" {
			k.fault(key, "own and own_object have no meaning without object")
		}
		return
	}
	k.objectKey(key+".object", p.Object)
	if p.OwnObject != "" {
		k.objectKey(key+".own_object", p.OwnObject)
	}
	if p.Own != "" && p.OwnObject != "" {
		k.fault(key, "own and own_object exclude each other")
	}
	if p.OwnObject == p.Object {
		k.fault(key+".own_object", "is the object that is written: the owner's list must stay apart from it")
	}
	for _, r := range g.Routers {
		if r.Pull.FeatureFlags > 0 {
			k.fault(key, "router %s has feature flags: with them a router re-warms only the graph that it built last, so the base graph is not re-warmed; let it pull from the CDN endpoint instead", withoutUser(r.URL))
		}
	}
}

func (k *checker) objectKey(key, v string) {
	if err := cdnsource.CheckKey(v); err != nil {
		k.fault(key, "%q is not a key such as warm/manifest.json", v)
	}
}

// checkCosmo checks what of a graph depends on the rest of the configuration.
func (c Config) checkCosmo(k *checker, key string, g Graph) {
	if g.Cosmo.SigningKeyFile != "" && !c.CDN.Enabled {
		k.fault(key+".cosmo.signing_key_file", "needs cdn.enabled: routers register on its listener")
	}
	if g.Cosmo.PersistedManifest.Object != "" && !c.Publishes() {
		k.fault(key+".cosmo.persisted_manifest", "needs the role publish: a process that only warms writes nothing to the bucket")
	}
	if g.Cosmo.PersistedManifest.Object != "" && !c.CDN.Enabled {
		k.fault(key+".cosmo.persisted_manifest", "needs cdn.enabled: what is published is what goes into it")
	}
	for _, other := range c.Graphs {
		if other.Name == g.Name && other.Namespace == g.Namespace {
			continue
		}
		if o := g.Cosmo.PersistedManifest.Object; o != "" && other.Cosmo.PersistedManifest.Object == o {
			k.fault(key+".cosmo.persisted_manifest.object", "%q belongs to graph %s/%s too", o, other.Namespace, other.Name)
		}
		if f := g.Cosmo.File; f != "" && other.Cosmo.File == f {
			k.fault(key+".cosmo.file", "%q belongs to graph %s/%s too", f, other.Namespace, other.Name)
		}
	}
}
