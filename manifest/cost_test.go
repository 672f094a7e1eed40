package manifest

import "testing"

// A manifest that has an entry without a cost is no memory of one: a pin that
// was never planned, once it is off the stack, has still to be measured.
func TestBuildRemembersNoCostThatWasNeverMeasured(t *testing.T) {
	in := testInput(pushed("1", 0))
	published := mustBuild(t, in).Manifest
	unmeasured := seen("1", 0, 100)
	unmeasured.Planwarm.Samples, unmeasured.SumMs = 0, 0
	in = testInput(unmeasured)
	in.Previous = &published
	if r := mustBuild(t, in); len(r.Manifest.Operations) != 0 || reasons(r)["1"] != ReasonNoSamples {
		t.Errorf("%d operations, left out %v", len(r.Manifest.Operations), reasons(r))
	}
}
