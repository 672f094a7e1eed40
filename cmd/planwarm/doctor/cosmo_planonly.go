package doctor

import "strings"

// cosmoTokens says whether planwarm sends tokens.
func (l *look) cosmoTokens() bool {
	return l.Target.TokenFile != "" || l.Graph.Cosmo.SigningKeyFile != ""
}

// cosmoTokenRoute says whether the router gets a key for these tokens.
func (l *look) cosmoTokenRoute() bool {
	return l.cosmoTokens() && l.cosmoRegisters() && (l.Graph.Cosmo.SigningKeyFile == "" || l.registersHere())
}

// registersHere says whether planwarm is the control plane of the router.
func (l *look) registersHere() bool {
	return reaches(l.at("controlplane_url").str("https://cosmo-cp.wundergraph.com"), l.planwarm().CDN.Listen)
}

func (l *look) cosmoDev() bool { return l.at("dev_mode").boolean(false) }

func (l *look) cosmoUnauthenticated() bool {
	return l.at("engine", "force_unauthenticated_request_tracing").boolean(false)
}

var cosmoPlanOnly = []Check{
	{
		ID: "cosmo-plan-only-not-allowed", Subject: Cosmo, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "plan-only requests are allowed",
		Means: "Nothing allows plan-only requests, so the router ignores their header and executes. planwarm sends one canary, sees it, and leaves all warming to the router's own pull: no warming between reloads, and no checks.",
		Fix:   "dev_mode: true   # on a network that only you reach; docs/routers.md has the token route for all others",
		run: func(l *look) verdict {
			return when(!l.cosmoDev() && !l.cosmoUnauthenticated() && !l.cosmoTokenRoute(), "dev_mode")
		},
	},
	{
		ID: "cosmo-request-tracing-off", Subject: Cosmo, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "request tracing, which plan-only requests are part of, is on",
		Means: "engine.enable_request_tracing is off: no permission of any kind makes the router take plan-only requests.",
		Fix:   "engine: { enable_request_tracing: true }",
		run: func(l *look) verdict {
			return when(!l.at("engine", "enable_request_tracing").boolean(true), "engine.enable_request_tracing")
		},
	},
	{
		ID: "cosmo-unauthenticated-tracing-on", Subject: Cosmo, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "request tracing is not open to everybody",
		Means: "engine.force_unauthenticated_request_tracing shows subgraph URLs and payloads to everybody who reaches the router.",
		Fix:   "engine: { force_unauthenticated_request_tracing: false }",
		run: func(l *look) verdict {
			return when(l.cosmoUnauthenticated(), "engine.force_unauthenticated_request_tracing")
		},
	},
	{
		ID: "cosmo-dev-mode-open", Subject: Cosmo, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "dev_mode is off, or only this machine reaches the router",
		Means: "dev_mode is on and the router listens to other machines: everybody who reaches it can trace requests, which shows subgraph URLs and payloads.",
		Fix:   "dev_mode: false",
		run: func(l *look) verdict {
			return when(l.cosmoDev() && !listensOnLoopback(l.cosmoListen()), "dev_mode")
		},
	},
	{
		ID: "cosmo-token-route-without-key", Subject: Cosmo, Topic: PlanOnly, Severity: Error, In: RouterFile,
		Good:  "a router that planwarm sends a token to has a key for it",
		Means: "planwarm.yaml has a token_file or a signing_key_file for this router, but with router_registration: false the router never gets a key: it looks at no token, ignores the header, and executes.",
		Fix:   "router_registration: true",
		run: func(l *look) verdict {
			return when(l.cosmoTokens() && !l.cosmoRegisters(), "router_registration")
		},
	},
	{
		ID: "cosmo-controlplane-elsewhere", Subject: Cosmo, Topic: PlanOnly, Severity: Error, In: RouterFile,
		Good:  "the router gets the key of the tokens from planwarm",
		Means: "planwarm.yaml has a signing_key_file, but the router registers elsewhere, without controlplane_url at Cosmo's cloud: it gets another key and refuses planwarm's tokens, or none and executes.",
		Fix:   "router_registration: true\ncontrolplane_url: {cdn}",
		run: func(l *look) verdict {
			return when(l.Graph.Cosmo.SigningKeyFile != "" && l.cosmoRegisters() && !l.registersHere(), "controlplane_url")
		},
	},
	{
		ID: "cosmo-cache-hit-header-off", Subject: Cosmo, Topic: Hits, Severity: Warning, In: RouterFile,
		Good:  "answers tell whether the plan was cached",
		Means: "Answers do not tell whether the plan was in the cache: planwarm cannot check what it warmed, and sends everything again.",
		Fix:   "engine: { debug: { enable_cache_response_headers: true } }",
		run: func(l *look) verdict {
			if l.at("engine", "debug", "enable_cache_response_headers").boolean(false) {
				return good()
			}
			for _, h := range l.at("headers", "router", "response").items() {
				if strings.EqualFold(h.at("name").str(""), "X-Plan-Hit") && strings.Contains(h.at("expression").str(""), "planCacheHit") {
					return good()
				}
			}
			return bad("engine.debug.enable_cache_response_headers")
		},
	},
}
