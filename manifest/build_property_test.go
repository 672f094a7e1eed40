package manifest

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"
)

// randomInput makes inputs in which much collides: few keys, names and texts.
func randomInput(r *rand.Rand) Input {
	in := testInput()
	in.Settings.MaxOperations = 1 + r.IntN(30)
	in.Settings.ManualShare = r.Float64()
	in.Settings.Rank = []Rank{RankP90, RankSaved, RankBudget}[r.IntN(3)]
	in.Settings.Budget = time.Duration(1+r.IntN(2000)) * time.Millisecond
	in.Settings.MaxSharePerClient = 0.1 + 0.9*r.Float64()
	key := func() string {
		if r.IntN(10) == 0 {
			return ""
		}
		return strconv.Itoa(r.IntN(60))
	}
	for i := range r.IntN(150) {
		var c Candidate
		if r.IntN(3) == 0 {
			c = pushed(key(), r.IntN(20))
			c.Pin.ID = strconv.Itoa(i)
		} else {
			c = seen(key(), 50*r.Float64(), uint64(r.IntN(50)))
			c.Client = &Client{Name: strconv.Itoa(r.IntN(3))}
		}
		if r.IntN(5) == 0 {
			c.Request.Query = "{ f" + strconv.Itoa(r.IntN(20)) + " }"
		}
		if r.IntN(5) == 0 {
			c.Planwarm.Variants = []Variant{{PlanKey: key(), Conditions: map[string]bool{"a": r.IntN(2) == 0}}, {OperationName: ptr("Op" + key())}}
		}
		if r.IntN(20) == 0 {
			c.Refused = "broken"
		}
		if r.IntN(10) == 0 {
			c.Planwarm.Samples, c.Planwarm.P90Ms, c.Planwarm.MaxMs, c.SumMs = 0, 0, 0, 0
		}
		in.Candidates = append(in.Candidates, c)
	}
	for range r.IntN(4) {
		in.Deny = append(in.Deny, Deny{OperationName: "Op" + key(), PlanKey: key()})
	}
	return in
}

func TestBuildProperties(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		in := randomInput(r)
		if seed%2 == 0 {
			previous := mustBuild(t, randomInput(r)).Manifest
			in.Previous = &previous
		}
		res := mustBuild(t, in) // valid: so no plan key stands in two slots
		checkResult(t, seed, in, res)

		first, err := Encode(res.Manifest)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		shuffled := in
		shuffled.Candidates = slices.Clone(in.Candidates)
		r.Shuffle(len(in.Candidates), func(i, j int) {
			shuffled.Candidates[i], shuffled.Candidates[j] = shuffled.Candidates[j], shuffled.Candidates[i]
		})
		again := mustBuild(t, shuffled)
		second, err := Encode(again.Manifest)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !bytes.Equal(first, second) {
			t.Fatalf("seed %d: the order of candidates changed the manifest:\n%s\n%s", seed, first, second)
		}
		if !reflect.DeepEqual(res.LeftOut, again.LeftOut) {
			t.Fatalf("seed %d: the order of candidates changed what was left out:\n%+v\n%+v", seed, res.LeftOut, again.LeftOut)
		}
	}
}

func checkResult(t *testing.T, seed uint64, in Input, res Result) {
	t.Helper()
	ops := res.Manifest.Operations
	if len(ops) > in.Settings.MaxOperations {
		t.Fatalf("seed %d: %d operations, cap %d", seed, len(ops), in.Settings.MaxOperations)
	}
	pins, lastValue := 0, 0.0
	for i, e := range ops {
		if e.Planwarm.Source == SourceManual {
			pins++
			if i != pins-1 {
				t.Fatalf("seed %d: a pin below telemetry", seed)
			}
			if i > 0 && e.Planwarm.PushedAt.After(*ops[i-1].Planwarm.PushedAt) {
				t.Fatalf("seed %d: pins are not newest first", seed)
			}
		} else {
			value := res.Manifest.value(&e)
			if i > pins && value > lastValue {
				t.Fatalf("seed %d: operations[%d] of value %v stands below %v", seed, i, value, lastValue)
			}
			lastValue = value
			if e.Planwarm.Executions < in.Settings.MinExecutions || e.Planwarm.P90Ms < 1 {
				t.Fatalf("seed %d: operations[%d] passed a gate: %+v", seed, i, e.Planwarm)
			}
		}
		for _, x := range e.Expand() {
			for _, d := range in.Deny {
				if x.Request.OperationName == d.OperationName && d.OperationName != "" || x.Planwarm.PlanKey == d.PlanKey && d.PlanKey != "" {
					t.Fatalf("seed %d: operations[%d] has a denied request %+v", seed, i, x)
				}
			}
		}
	}
	if room := in.Settings.PinRoom(); pins > room {
		t.Fatalf("seed %d: %d pins, room for %d", seed, pins, room)
	}
	// Every candidate is in, or told: a merged one is told as a duplicate.
	if got := len(ops) + len(res.LeftOut); got != len(in.Candidates) {
		t.Fatalf("seed %d: %d candidates, %d accounted for", seed, len(in.Candidates), got)
	}
}
