package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// exchanges lists what passes between a Cosmo router and planwarm, as it was
// seen on the real router, and the tests that hold planwarm to it. Tests of
// planner/engine/router hold the engine router, which stands in for a Cosmo
// router where tests need one, to the router's half.
var exchanges = []struct {
	what  string
	tests []string // package directory, slash, test
}{
	// The router pulls its warm-up list, planwarm is its CDN.
	{"pull: path and headers as captured", []string{"cmd/planwarm/TestCapturedPullsOverTheWire", "cdnsource/TestHandlerAnswersCapturedPulls", "planner/engine/router/TestPullAsksLikeCosmo"}},
	{"pull: 200, warmed in order", []string{"cmd/planwarm/TestCapturedPullsOverTheWire", "planner/engine/router/TestWarmedByPull"}},
	{"pull: 404, nothing to warm", []string{"cmd/planwarm/TestCapturedPullsOverTheWire", "planner/engine/router/TestPullAnswers"}},
	{"pull: 401 for a bad token, 403 without organization, 400 for another path", []string{"cmd/planwarm/TestCapturedPullsOverTheWire", "cdnsource/TestHandlerTokens", "planner/engine/router/TestPullAnswers"}},
	{"pull: 5xx, 429 and refused are retried, so they are never answered", []string{"cdnsource/TestHandlerServesLastGood", "planner/engine/router/TestPullAnswers", "planner/engine/router/TestPullRecovers"}},
	{"pull: slow answers delay readiness, so there are none", []string{"cdnsource/TestHandlerWaitsForTheFirstDocumentOnly", "cdnsource/TestHandlerFirstDocumentInTime", "planner/engine/router/TestPullAnswers"}},
	{"pull: a redirect drops the token", []string{"planner/engine/router/TestPullDropsTokenOnRedirectToAnotherHost"}},
	{"pull: other paths of cdn.url are 404 or passed on", []string{"cmd/planwarm/TestCapturedPullsOverTheWire", "cdnsource/TestHandlerUpstream"}},
	{"pull: an item without a request crashes the router", []string{"cmd/planwarm/TestCapturedPullsOverTheWire", "planner/engine/router/TestItemWithoutRequestIsFatal", "cdnsource/TestHandlerGuardsPulls"}},
	{"pull: invalid items are skipped", []string{"planner/engine/router/TestInvalidItemsAreSkipped"}},
	{"pull: the tail is lost when the time is up", []string{"planner/engine/router/TestTailIsLost", "warmer/TestCapacityLimit"}},
	{"pull: not served until warm", []string{"planner/engine/router/TestNotServedUntilWarm"}},
	{"pull: once more for each feature flag", []string{"cmd/planwarm/TestFlagPullsAreOneRebuild", "cdnsource/TestFlagPullsAreNoFailedStarts"}},
	{"pull: at most what the cache and the rate allow", []string{"warmer/TestCapacityLimit"}},

	// The two ways in that need no request: a file, and an object in the bucket.
	{"file source: written whole, and the touch that has it read again", []string{"cmd/planwarm/TestFileSourceAndTouch", "planner/cosmo/TestFileSourceIsReplacedWhole", "planner/cosmo/TestToucher"}},
	{"persisted-query manifest: there at the start, a new revision for new content, read again", []string{"cmd/planwarm/TestPersistedManifestInTheBucket", "planner/cosmo/TestPersistedWriter"}},
	{"persisted-query manifest: the owner's own list stays in it", []string{"planner/cosmo/TestMergePersisted", "planner/cosmo/TestPersistedWriterWaitsForTheOwnList"}},
	{"persisted-query manifest: not beside feature flags", []string{"cmd/planwarm/TestPersistedManifestIsRefusedWithFlags"}},

	// planwarm sends plan-only requests.
	{"plan-only: header, body, no variables", []string{"planner/cosmo/TestPlanHeadersAndBody", "planner/engine/router/TestPlanOnlyModes"}},
	{"plan-only: refused header executes, told by a canary", []string{"planner/cosmo/TestBadModes", "planner/cosmo/TestPlanProbesFirst", "planner/engine/router/TestCanary", "cmd/planwarm/TestWarmStopsAtARouterThatExecutes"}},
	{"plan-only: the key for tokens, at the router's registration", []string{"cmd/planwarm/TestRouterRegistersAndMutationsArePlanned", "planner/cosmo/TestTokenRouteWithoutRegistration"}},
	{"plan-only: a bad token fails closed", []string{"planner/cosmo/TestTokenThatExpires", "planner/engine/router/TestPlanOnlyModes"}},
	{"plan-only: mutations only where it fails closed", []string{"planner/cosmo/TestMutations", "cmd/planwarm/TestWarmPlansMutationsWhereTheRouterFailsClosed"}},
	{"plan-only: what shares a plan, and what does not", []string{"planner/engine/router/TestWhatSharesAPlan", "planner/engine/router/TestConditionsSelectPlans", "planner/engine/router/TestPlanOnlyWithoutVariables"}},
	{"plan-only: hit or miss from headers", []string{"planner/cosmo/TestPlanReadsHits"}},

	// The router sends telemetry.
	{"telemetry: spans over HTTP", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/otlp/TestCosmoSpansEqualTruth"}},
	{"telemetry: spans over gRPC", []string{"cmd/planwarm/TestSmallRunOverGRPC", "telemetry/otlp/TestGRPCTakesCaptures"}},
	{"telemetry: delta metric over HTTP and gRPC", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/otlp/TestCosmoDeltaPointsEqualTruth"}},
	{"telemetry: cumulative metric", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/TestCumulativeStream"}},
	{"telemetry: three readers of one router", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/otlp/TestTableEqualsTruth"}},
	{"telemetry: cache hits are demand, no samples", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/TestSpan"}},
	{"telemetry: points of the router's own warm-up", []string{"cmd/planwarm/TestWarmUpPointsAreNoDemand", "telemetry/otlp/TestCosmoLeavesOut"}},
	{"telemetry: planwarm's own requests", []string{"telemetry/TestOwnRequestsAreNoDemand"}},
	{"telemetry: attributes that are off by default", []string{"cmd/planwarm/TestUnattributedPointsAreTold", "telemetry/otlp/TestOwnerIsTold"}},
	{"telemetry: otel.metric.overflow", []string{"cmd/planwarm/TestMergedPointsAreTold", "telemetry/otlp/TestOwnerIsTold"}},
	{"telemetry: a trace over two batches, text and hash on different spans", []string{"cmd/planwarm/TestNoLiteralIsKept", "telemetry/otlp/TestCosmoJoinsTexts"}},
	{"telemetry: original content has literals", []string{"cmd/planwarm/TestNoLiteralIsKept", "telemetry/TestNoLiteralIsStored"}},
	{"telemetry: batches above 4 MiB over gRPC", []string{"cmd/planwarm/TestLargeBatchOverGRPC"}},
	{"telemetry: malformed, truncated, oversized, gzip bombs", []string{"cmd/planwarm/TestBadInputOverTheWire", "telemetry/otlp/TestMalformedBodies", "telemetry/graphqlmetrics/TestHandlerRefuses"}},

	// The router sends its schema usage.
	{"graphqlmetrics: requests, names, clients, texts", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/graphqlmetrics/TestRequestsEqualTruth"}},
	{"graphqlmetrics: several names under one hash", []string{"cmd/planwarm/TestBuildSendsATextUnderItsOwnName", "telemetry/TestSpan"}},
	{"graphqlmetrics: failed requests do not count", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/graphqlmetrics/TestDecodeEqualsDocuments"}},
	{"graphqlmetrics: introspection is in it", []string{"cmd/planwarm/TestCapturesOverTheWire"}},
	{"graphqlmetrics: an equal body within 60 s, and after", []string{"cmd/planwarm/TestCapturesOverTheWire", "telemetry/TestEqualBodyCountsOnceAMinute"}},
	{"two hashes: several share one plan", []string{"cmd/planwarm/TestGoldenManifestFollowsFromTruth", "cmd/planwarm/TestBuildJoinsDocumentsByHash"}},

	// Signs that the router reloaded.
	{"reload: a pull", []string{"warmer/TestPullIsFollowedByASecondRound"}},
	{"reload: not ready, then ready", []string{"planner/cosmo/TestWatchReadiness"}},
	{"reload: the plan cache's counter drops", []string{"planner/cosmo/TestWatchPlanCache", "planner/cosmo/TestPageOfARealReload"}},
	{"reload: a canary that was warm misses", []string{"planner/cosmo/TestWatchCanary"}},
	{"reload: the old graph serves until the new one is warm", []string{"planner/engine/router/TestReloadServesOldUntilWarm", "planner/engine/router/TestReloadByFile"}},

	// The registry tells of a published schema.
	{"webhook: signature over the raw body, a failed composition, a delivery that comes twice", []string{"admin/TestSamples", "admin/TestRepeatWindow"}},
	{"webhook: before the router has the schema, or after", []string{"cmd/planwarm/TestWebhookPublishes", "cmd/planwarm/TestWebhookSurvivesAKill"}},
}

// TestEveryExchangeIsCovered checks that the tests named above exist.
func TestEveryExchangeIsCovered(t *testing.T) {
	known := map[string]map[string]bool{}
	for _, e := range exchanges {
		if len(e.tests) == 0 {
			t.Errorf("%s: no test", e.what)
		}
		for _, name := range e.tests {
			i := strings.LastIndex(name, "/")
			dir, test := name[:i], name[i+1:]
			if known[dir] == nil {
				known[dir] = testsOf(t, filepath.Join("..", "..", dir))
			}
			if !known[dir][test] {
				t.Errorf("%s: %s is not there", e.what, name)
			}
		}
	}
}

// testsOf lists the tests that a folder declares.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, path := range files {
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				out[f.Name.Name] = true
			}
		}
	}
	return out
}
