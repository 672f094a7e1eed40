package doctor

import (
	"errors"

	"github.com/planwarm/planwarm/planner"
)

// Live is what one running router answered. At most one canary of it was
// executed.
type Live struct {
	Router       string // its name, without user information
	Pulls        bool   // it has a warm-up of its own
	PlugIn       bool   // planwarm's plug-in is in it, which tells of reloads
	Probe        error  // of the canary
	TellsHits    bool   // hits can be asked for
	Hit          planner.Hit
	HitErr       error
	MutationSafe bool
	Page         PageState
	Ready        PageState
}

// PageState is what became of a page that was asked for.
type PageState uint8

// The states.
const (
	PageNone    PageState = iota // no address was given
	PageFailed                   // no answer, or none that counts
	PageLacking                  // it lacks what tells of reloads
	PageGood
)

// Executed says how many operations the router executed because it was asked.
func (l *Live) Executed() int {
	if errors.Is(l.Probe, planner.ErrExecuted) || errors.Is(l.HitErr, planner.ErrExecuted) {
		return 1
	}
	return 0
}

// away says whether nothing can be proven now, one way or the other.
func (l *Live) away() bool {
	return errors.Is(l.Probe, planner.ErrUnavailable) || errors.Is(l.Probe, planner.ErrOverloaded)
}

var liveRouter = []Check{
	{
		ID: "live-router-unavailable", Subject: LiveRouter, Topic: PlanOnly, Severity: Error,
		Good:  "the router answers",
		Means: "The router cannot be reached, is not ready, or is overloaded.",
		Fix:   "start the router, or give its GraphQL endpoint, such as --router http://127.0.0.1:3002/graphql",
		run:   func(l *look) verdict { return when(l.Live.away(), l.Live.Router) },
	},
	{
		ID: "live-plan-only-executed", Subject: LiveRouter, Topic: PlanOnly, Severity: Error,
		Good:  "plan-only requests are honoured",
		Means: "The router ignored the plan-only header and executed the canary. planwarm warms nothing over HTTP here.",
		Fix:   "allow plan-only requests: --router-config FILE tells which lines that takes",
		run: func(l *look) verdict {
			switch {
			case l.Live.away():
				return nothing()
			case l.Live.Executed() > 0 && l.Live.Pulls:
				return bad(l.Live.Router).because("its own pull can still warm it").as(Warning)
			case l.Live.Executed() > 0:
				return bad(l.Live.Router)
			case l.Live.Probe != nil:
				return cannotTell("the canary was not answered in a way that proves it")
			}
			return good()
		},
	},
	{
		ID: "live-plan-only-refused", Subject: LiveRouter, Topic: PlanOnly, Severity: Error,
		Good:  "plan-only requests are not refused",
		Means: "The router, or what stands in front of it, refuses plan-only requests: a wrong token, a redirect, a login page. Nothing was executed.",
		Fix:   "check graphs[].routers[].token_file, and that the URL is the router's own GraphQL endpoint",
		run: func(l *look) verdict {
			if l.Live.away() {
				return nothing()
			}
			return when(errors.Is(l.Live.Probe, planner.ErrRefused), l.Live.Router)
		},
	},
	{
		ID: "live-mutations", Subject: LiveRouter, Topic: PlanOnly, Severity: Info,
		Good:  "mutations can be planned over HTTP too",
		Means: "Mutations are not planned over HTTP: the router would execute them the day it stops honouring the header. They are warmed by its own pull, where it has one.",
		Fix:   "docs/routers.md: a token route that fails closed",
		run: func(l *look) verdict {
			if l.Live.Probe != nil {
				return nothing()
			}
			return when(!l.Live.MutationSafe, l.Live.Router)
		},
	},
	{
		ID: "live-hit-signal", Subject: LiveRouter, Topic: Hits, Severity: Warning,
		Good:  "the router tells whether a plan was cached",
		Means: "The router's answers do not tell whether a plan was in its cache: planwarm cannot check what it warmed.",
		Fix:   "a Cosmo Router: engine: { debug: { enable_cache_response_headers: true } }",
		run: func(l *look) verdict {
			switch {
			case l.Live.Probe != nil || !l.Live.TellsHits:
				return nothing()
			case l.Live.HitErr != nil:
				return cannotTell("the router did not answer the question")
			}
			return when(l.Live.Hit == planner.HitUnknown, l.Live.Router)
		},
	},
	{
		ID: "live-hit-stays", Subject: LiveRouter, Topic: Hits, Severity: Warning,
		Good:  "a plan that was made stays in the cache",
		Means: "A plan that had just been made was not in the cache: the cache is off or full, or requests reach several routers in turn, as behind a load balancer.",
		Fix:   "give each replica's own address; look at the size of the plan cache",
		run: func(l *look) verdict {
			if l.Live.Probe != nil || l.Live.HitErr != nil || !l.Live.TellsHits || l.Live.Hit == planner.HitUnknown {
				return nothing()
			}
			return when(l.Live.Hit == planner.HitNo, l.Live.Router)
		},
	},
	{
		ID: "live-metrics-page", Subject: LiveRouter, Topic: Reloads, Severity: Warning,
		Good:  "the router's metrics page tells of reloads",
		Means: "The router's metrics page is not configured, cannot be read, or lacks what tells of reloads.",
		Fix:   "graphs[].routers[].metrics_url in planwarm.yaml; a Cosmo Router also needs telemetry.metrics.prometheus.graphql_cache: true",
		run: func(l *look) verdict {
			if l.Live.PlugIn {
				return nothing()
			}
			return when(l.Live.Page != PageGood, l.Live.Router).because(map[PageState]string{
				PageNone: "no metrics_url", PageFailed: "it cannot be read", PageLacking: "it lacks the counters",
			}[l.Live.Page])
		},
	},
	{
		ID: "live-ready-url", Subject: LiveRouter, Topic: Reloads, Severity: Info,
		Good:  "the readiness endpoint says ready",
		Means: "The router's readiness endpoint is not configured or does not say ready: restarts are not seen as such.",
		Fix:   "graphs[].routers[].ready_url in planwarm.yaml",
		run: func(l *look) verdict {
			if l.Live.PlugIn {
				return nothing()
			}
			return when(l.Live.Ready != PageGood, l.Live.Router)
		},
	},
}
