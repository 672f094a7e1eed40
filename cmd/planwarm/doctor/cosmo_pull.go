package doctor

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// cosmoPulls says whether the router's own warm-up is on.
func (l *look) cosmoPulls() bool { return l.at("cache_warmup", "enabled").boolean(false) }

func (l *look) cosmoRegisters() bool { return l.at("router_registration").boolean(true) }

// cosmoFile says whether the list comes from a file in place of the CDN.
func (l *look) cosmoFile() bool { return l.at("cache_warmup", "source", "filesystem").set() }

// cosmoRate is what the router's warm-up gets through, and whether that is bounded.
func (l *look) cosmoRate() (items float64, bounded bool) {
	w := l.at("cache_warmup")
	rate, timeout := w.at("items_per_second").number(50), w.at("timeout").duration(30*time.Second)
	return rate * timeout.Seconds(), rate > 0
}

var cosmoPull = []Check{
	{
		ID: "cosmo-warmup-disabled", Subject: Cosmo, Topic: Pull, Severity: Error, In: RouterFile,
		Good:  "the router warms itself from a list before it is ready",
		Means: "The router's own warm-up is off, as is the default: it asks nobody for a list and is ready while cold. Mutations are warmed by no other way unless it takes tokens.",
		Fix:   "cache_warmup: { enabled: true, in_memory_fallback: false, items_per_second: {rate}, timeout: 30s }",
		run:   func(l *look) verdict { return when(!l.cosmoPulls(), "cache_warmup.enabled") },
	},
	{
		ID: "cosmo-in-memory-fallback", Subject: Cosmo, Topic: Pull, Severity: Error, In: RouterFile,
		Good:  "the router asks its CDN",
		Means: "With router_registration: false and in_memory_fallback: true, which is its default, the router never asks its CDN, without a word. planwarm has a fallback of its own.",
		Fix:   "cache_warmup: { enabled: true, in_memory_fallback: false }",
		run: func(l *look) verdict {
			if !l.cosmoPulls() || l.cosmoFile() {
				return nothing() // it has no CDN to ask: cosmo-warmup-disabled, cosmo-file-source
			}
			return when(!l.cosmoRegisters() && l.at("cache_warmup", "in_memory_fallback").boolean(true), "cache_warmup.in_memory_fallback")
		},
	},
	{
		ID: "cosmo-registration-stub", Subject: Cosmo, Topic: Pull, Severity: Warning, In: RouterFile,
		Good:  "registration and request tracing go together",
		Means: "The router registers at a control plane on this machine, as it is set up to have the CDN and its own fallback together. Without a control plane there that needs request tracing off, and then no plan-only requests are taken.",
		Fix:   "engine: { enable_request_tracing: false }",
		run: func(l *look) verdict {
			host, _, ok := endpoint(l.at("controlplane_url").str(""))
			stub := ok && loopback(host) && l.cosmoRegisters() && !l.cosmoTokenRoute()
			return when(stub && l.at("engine", "enable_request_tracing").boolean(true), "engine.enable_request_tracing")
		},
	},
	{
		ID: "cosmo-cdn-url-elsewhere", Subject: Cosmo, Topic: Pull, Severity: Error, In: RouterFile,
		Good:  "the router's CDN is planwarm",
		Means: "cdn.url is not planwarm's CDN endpoint, so the router asks somebody else for its list; without cdn.url it is Cosmo's cloud.",
		Fix:   "cdn: { url: {cdn} }",
		run: func(l *look) verdict {
			if l.cosmoFile() {
				return nothing()
			}
			return when(!reaches(l.at("cdn", "url").str("https://cosmo-cdn.wundergraph.com"), l.planwarm().CDN.Listen), "cdn.url")
		},
	},
	{
		ID: "cosmo-cdn-url-path", Subject: Cosmo, Topic: Pull, Severity: Warning, In: RouterFile,
		Good:  "cdn.url is a scheme and a host",
		Means: "cdn.url has a path, which the router drops: it asks at the root of that host.",
		Fix:   "cdn: { url: {cdn} }",
		run: func(l *look) verdict {
			u, err := url.Parse(l.at("cdn", "url").str(""))
			return when(err == nil && strings.Trim(u.Path, "/") != "", "cdn.url")
		},
	},
	{
		ID: "cosmo-cdn-upstream-missing", Subject: Cosmo, Topic: Pull, Severity: Error, In: RouterFile,
		Good:  "the execution config is not asked of planwarm's CDN endpoint",
		Means: "The router also asks cdn.url for its execution config. planwarm answers 404 to that unless cdn.upstream in planwarm.yaml names the CDN that has it.",
		Fix:   "execution_config: { file: { path: ./config.json, watch: true, watch_interval: 1s } }",
		run: func(l *look) verdict {
			if l.planwarm().CDN.Upstream != "" || !reaches(l.at("cdn", "url").str(""), l.planwarm().CDN.Listen) {
				return good()
			}
			if c := l.at("execution_config"); !c.at("file", "path").set() && !c.at("storage").set() && !l.at("router_config_path").set() {
				return bad("execution_config")
			}
			return good()
		},
	},
	{
		ID: "cosmo-persisted-upstream-missing", Subject: Cosmo, Topic: Pull, Severity: Error, In: PlanwarmFile,
		Good:  "persisted operations are found",
		Means: "The router lives on persisted operations, and without a storage provider of its own asks cdn.url for them: planwarm answers 404, and clients are refused, unless cdn.upstream names the CDN that has them.",
		Fix:   "cdn: { upstream: https://cosmo-cdn.wundergraph.com }   # what cdn.url of the router was before",
		run: func(l *look) verdict {
			p := l.at("persisted_operations")
			needed := l.at("security", "block_non_persisted_operations", "enabled").boolean(false) ||
				p.at("safelist", "enabled").boolean(false) || p.at("manifest", "enabled").boolean(false)
			if !needed || p.at("storage", "provider_id").set() || !reaches(l.at("cdn", "url").str(""), l.planwarm().CDN.Listen) {
				return nothing()
			}
			return when(l.planwarm().CDN.Upstream == "", "persisted_operations.storage.provider_id")
		},
	},
	{
		ID: "cosmo-feature-flags-differ", Subject: Cosmo, Topic: Pull, Severity: Warning, In: PlanwarmFile,
		Good:  "planwarm knows how often the router pulls at each start",
		Means: "The execution config has another number of feature flags than planwarm.yaml says. The router pulls once for its base graph and once for each flag, which nothing in a pull tells: planwarm then takes one reload for several, or counts starts wrongly when a router crashes on its warm-up.",
		Fix:   "graphs:\n  - name: {graph}\n    routers:\n      - pull: { feature_flags: {flags} }",
		run: func(l *look) verdict {
			if l.Flags == nil || !l.cosmoPulls() || l.cosmoFile() {
				return nothing()
			}
			return when(*l.Flags != l.Target.Pull.FeatureFlags, "graphs[].routers[].pull.feature_flags").
				because(fmt.Sprintf("%d in the execution config, %d in planwarm.yaml", *l.Flags, l.Target.Pull.FeatureFlags))
		},
	},
	{
		ID: "cosmo-file-source", Subject: Cosmo, Topic: Pull, Severity: Error, In: PlanwarmFile,
		Good:  "the list comes from the CDN, or from a file that planwarm writes",
		Means: "The list is read from a file, and the CDN is not asked; but planwarm writes no file for this graph, or the path is a folder. It must be one file on a volume that both share.",
		Fix:   "graphs:\n  - name: {graph}\n    cosmo: { file: shared/operations.json }   # cache_warmup.source.filesystem.path, as planwarm sees it",
		run: func(l *look) verdict {
			folder := strings.HasSuffix(l.at("cache_warmup", "source", "filesystem", "path").str(""), "/")
			if !l.cosmoPulls() {
				return nothing()
			}
			return when(l.cosmoFile() && (l.Graph.Cosmo.File == "" || folder), "cache_warmup.source.filesystem")
		},
	},
	{
		ID: "cosmo-token-claims", Subject: Cosmo, Topic: Pull, Severity: Error, In: Elsewhere,
		Good:  "the graph token says where to pull from",
		Means: "graph.token is missing, is no JWT, lacks the claims organization_id and federated_graph_id, or has others than planwarm.yaml: the router pulls from a path that planwarm does not serve.",
		Fix:   "planwarm token cosmo {graph} -o graph.token      and put its content into graph.token (GRAPH_API_TOKEN)",
		run: func(l *look) verdict {
			token := l.at("graph", "token")
			if !token.set() {
				return cannotTell("graph.token is not in the file; the router then takes GRAPH_API_TOKEN")
			}
			org, graph, ok := claims(token.str(""))
			c := l.Graph.Cosmo
			switch {
			case !ok || org == "" || graph == "":
				return bad(token.path).because("no JWT with both claims")
			case c.OrganizationID != "" && (c.OrganizationID != org || c.FederatedGraphID != graph):
				return bad(token.path).because("its claims are others than graphs[].cosmo")
			}
			return good()
		},
	},
	{
		ID: "cosmo-planwarm-ids-missing", Subject: Cosmo, Topic: Pull, Severity: Error, In: PlanwarmFile,
		Good:  "planwarm knows the path that the router pulls from",
		Means: "graphs[].cosmo of planwarm.yaml lacks the ids, so planwarm's CDN endpoint is 404 for this router.",
		Fix:   "graphs:\n  - name: {graph}\n    cosmo: { organization_id: org, federated_graph_id: {graph}, jwt_secret_file: ./jwt.secret }",
		run: func(l *look) verdict {
			switch {
			case l.Planwarm == nil:
				return cannotTell("no planwarm.yaml was given")
			case l.cosmoFile():
				return nothing()
			}
			return when(l.Graph.Cosmo.OrganizationID == "" || l.Graph.Cosmo.FederatedGraphID == "", "graphs[].cosmo")
		},
	},
	{
		ID: "cosmo-manifest-above-cache", Subject: Cosmo, Topic: Pull, Severity: Warning, In: RouterFile,
		Good:  "the list fits into the plan cache",
		Means: "The list may have more operations than 0.9 of the router's plan cache: its tail pushes out its own head (a list of 2,000 left 980 plans of 1,024).",
		Fix:   "engine: { execution_plan_cache_size: {cache} }",
		run: func(l *look) verdict {
			size := l.at("engine", "execution_plan_cache_size").number(1024)
			return when(!l.fits(size), "engine.execution_plan_cache_size").because(l.sizes(size))
		},
	},
	{
		ID: "cosmo-rate-times-timeout", Subject: Cosmo, Topic: Pull, Severity: Warning, In: RouterFile,
		Good:  "the warm-up gets through the whole list",
		Means: "items_per_second × timeout × 0.9 is less than the list: when the time is up the rest of it is lost.",
		Fix:   "cache_warmup: { items_per_second: {rate}, timeout: 30s }",
		run: func(l *look) verdict {
			if !l.cosmoPulls() {
				return nothing()
			}
			items, bounded := l.cosmoRate()
			return when(bounded && !l.fits(items), "cache_warmup.items_per_second").because(fmt.Sprintf("%.0f operations, a list of up to %d", items, l.listed()))
		},
	},
	{
		ID: "cosmo-capacity-differs", Subject: Cosmo, Topic: Pull, Severity: Info, In: PlanwarmFile,
		Good:  "planwarm takes the router for no larger than it is",
		Means: "planwarm.yaml says that the router keeps more plans, or gets through more in its warm-up, than the router's configuration does: planwarm then sends too long a list once the manifest grows.",
		Fix:   "graphs:\n  - routers:\n      - plan_cache_size: {routercache}   # engine.execution_plan_cache_size\n        pull: { items_per_second: {routerrate}, timeout: {routertimeout} }   # cache_warmup",
		run: func(l *look) verdict {
			if size := l.at("engine", "execution_plan_cache_size").number(1024); float64(l.Target.PlanCacheSize) > size {
				return bad("graphs[].routers[].plan_cache_size")
			}
			p := l.Target.Pull
			items, bounded := l.cosmoRate()
			return when(bounded && p.Timeout > 0 && (p.ItemsPerSecond == 0 || p.ItemsPerSecond*p.Timeout.Std().Seconds() > items), "graphs[].routers[].pull")
		},
	},
	{
		ID: "cosmo-warmup-timeout-long", Subject: Cosmo, Topic: Pull, Severity: Info, In: RouterFile,
		Good:  "a list that cannot be had delays the router by a minute at most",
		Means: "When the list cannot be had, as while planwarm is not started yet, the router is ready only after the whole time-out, once for each graph and feature flag.",
		Fix:   "cache_warmup: { timeout: 30s }",
		run: func(l *look) verdict {
			if !l.cosmoPulls() {
				return nothing()
			}
			return when(l.at("cache_warmup", "timeout").duration(30*time.Second) > time.Minute, "cache_warmup.timeout")
		},
	},
	{
		ID: "cosmo-pql-missing-object", Subject: Cosmo, Topic: Pull, Severity: Warning, In: PlanwarmFile,
		Good:  "no missing persisted-query manifest keeps the router from starting",
		Means: "The router reads a persisted-query manifest from S3, and planwarm does not write that object. While it is missing the router does not start. It is also the authoritative list of persisted operations: whoever writes it decides what is accepted.",
		Fix:   "graphs:\n  - name: {graph}\n    cosmo: { persisted_manifest: { object: warm/manifest.json } }   # object_prefix/file_name of the router",
		run: func(l *look) verdict {
			p := l.at("persisted_operations")
			object := path.Join(p.at("storage", "object_prefix").str(""), p.at("manifest", "file_name").str("manifest.json"))
			mine := strings.TrimPrefix(l.Graph.Cosmo.PersistedManifest.Object, "/")
			return when(p.at("manifest", "enabled").boolean(false) && mine != strings.TrimPrefix(object, "/"), "persisted_operations.manifest.enabled")
		},
	},
	{
		ID: "cosmo-pql-warmup-off", Subject: Cosmo, Topic: Pull, Severity: Info, In: RouterFile,
		Good:  "a new persisted-query manifest is warmed",
		Means: "The router polls a persisted-query manifest but does not warm what is in it: a new one changes what is accepted, and no plan is made.",
		Fix:   "persisted_operations: { manifest: { warmup: { enabled: true, workers: 4, items_per_second: {rate}, timeout: 30s } } }",
		run: func(l *look) verdict {
			m := l.at("persisted_operations", "manifest")
			return when(m.at("enabled").boolean(false) && !m.at("warmup", "enabled").boolean(false), "persisted_operations.manifest.warmup.enabled")
		},
	},
}

// claims reads the ids out of a graph token, whose signature only the CDN checks.
func claims(token string) (organization, graph string, ok bool) {
	var c struct {
		jwt.RegisteredClaims
		OrganizationID   string `json:"organization_id"`
		FederatedGraphID string `json:"federated_graph_id"`
	}
	_, _, err := jwt.NewParser().ParseUnverified(strings.TrimSpace(token), &c)
	return c.OrganizationID, c.FederatedGraphID, err == nil
}
