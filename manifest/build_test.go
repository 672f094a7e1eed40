package manifest

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestBuildOrder(t *testing.T) {
	tied := seen("40", 30, 5)
	tied.SumMs = 1000 // a higher mean than 30's
	r := mustBuild(t, testInput(
		seen("10", 5, 10), seen("20", 50, 10), pushed("1", 1), tied, seen("30", 30, 5), seen("31", 30, 5), pushed("2", 0),
	))
	want := []string{"2", "1", "20", "40", "30", "31", "10"}
	if got := planKeys(r.Manifest); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if len(r.LeftOut) != 0 {
		t.Errorf("left out: %+v", r.LeftOut)
	}
	m := r.Manifest
	if m.Sequence != 1 || m.Writer != "w1" || m.Window != "168h0m0s" || m.Rank != RankP90 || m.Schema != testSchema || !m.GeneratedAt.Equal(testNow) {
		t.Errorf("head %+v", m)
	}
	pin := m.Operations[0].Planwarm
	if pin.Source != SourceManual || pin.PushedBy != "ada" || pin.PushedAt == nil || m.Operations[2].Planwarm.Source != SourceTelemetry {
		t.Errorf("pin %+v", pin)
	}
}

func TestBuildReasons(t *testing.T) {
	in := testInput(
		seen("1", 0.5, 10), seen("2", 10, 1), seen("3", 5000, 10), seen("4", 10, 10), seen("5", 10, 10), seen("6", 10, 10), seen("7", 10, 10),
		seen("8", 0, 10), seen("9", 10, 10), seen("10", 10, 10),
		pushed("20", 0), pushed("21", 1), pushed("22", 2), pushed("23", 3), seen("99", 2, 2),
	)
	in.Settings.MaxPlanningTime = time.Second
	in.Settings.MaxOperations = 3
	cs := in.Candidates
	cs[3].Left = ReasonIntrospection
	cs[4].Refused = "no field price on Product"
	cs[5].Request.Query = ""
	cs[6].Planwarm.Type = ""
	cs[7].Planwarm.Samples, cs[7].SumMs = 0, 0
	cs[8].Hashes = []string{"123"}
	in.Deny = []Deny{{Hash: "123"}}
	cs[10].Refused = "no field price on Product"
	cs[11].Pin.From = ptr(testNow.Add(time.Second))
	cs[12].Pin.Until = ptr(testNow)
	r := mustBuild(t, in)
	want := map[string]Reason{
		"1": ReasonMinPlanningTime, "2": ReasonMinExecutions, "3": ReasonMaxPlanningTime, "4": ReasonIntrospection, "5": ReasonRefused,
		"6": ReasonNoText, "7": ReasonInvalid, "8": ReasonNoSamples, "9": ReasonDenied,
		"20": ReasonRefused, "21": ReasonNotYet, "22": ReasonExpired,
	}
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"23", "10", "99"}) {
		t.Errorf("in: %v", got)
	}
	if got := reasons(r); !reflect.DeepEqual(got, want) {
		t.Errorf("left out: %v\nwant %v", got, want)
	}
	for _, l := range r.LeftOut {
		if (l.Source == SourceManual) != (l.PinID != "") {
			t.Errorf("%+v: source and pin id do not fit", l)
		}
		if strings.Contains(l.Detail, "\n") || l.Reason == ReasonRefused && l.Detail == "" {
			t.Errorf("%s: detail %q", l.Reason, l.Detail)
		}
	}
}

// Without a gate on the planning time what was never measured may come last.
func TestBuildNoSamplesWithoutGate(t *testing.T) {
	a, b := seen("1", 0, 10), seen("2", 0.01, 10)
	a.Planwarm.Samples, a.SumMs = 0, 0
	in := testInput(a, b)
	in.Settings.MinPlanningTime = 0
	if got := planKeys(mustBuild(t, in).Manifest); !slices.Equal(got, []string{"2", "1"}) {
		t.Errorf("got %v", got)
	}
}

func TestBuildParksAndKeepsRoom(t *testing.T) {
	in := testInput(pushed("1", 0), pushed("2", 1), pushed("3", 2), seen("11", 9, 9), seen("12", 8, 9), seen("13", 7, 9))
	in.Settings.MaxOperations, in.Settings.ManualShare = 4, 0.5
	r := mustBuild(t, in)
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"1", "2", "11", "12"}) {
		t.Errorf("got %v", got)
	}
	if got, want := reasons(r), (map[string]Reason{"3": ReasonParked, "13": ReasonOverCap}); !reflect.DeepEqual(got, want) {
		t.Errorf("left out %v, want %v", got, want)
	}
	// A refused pin makes room for a parked one.
	in.Candidates[0].Refused = "broken"
	if got := planKeys(mustBuild(t, in).Manifest); !slices.Equal(got, []string{"2", "3", "11", "12"}) {
		t.Errorf("with a refused pin: %v", got)
	}
	in.Settings.ManualShare = 0
	if got := planKeys(mustBuild(t, in).Manifest); !slices.Equal(got, []string{"11", "12", "13"}) {
		t.Errorf("without room for pins: %v", got)
	}
}

// The newest pin of a push of many shares its time with the others: the place decides.
func TestBuildKeepsTheStackOrder(t *testing.T) {
	var p Pins
	var pins []Pin
	for _, key := range []string{"1", "2", "3", "4", "5"} {
		pin := *pushed(key, 0).Pin
		pin.PlanKey = key
		pins = append(pins, pin)
	}
	if _, err := p.Push(pins, 10, false); err != nil {
		t.Fatal(err)
	}
	cs := p.Candidates()
	for i := range cs {
		cs[i].Planwarm.Type, cs[i].Planwarm.PlanKey = Query, cs[i].Pin.PlanKey
	}
	slices.Reverse(cs)
	in := testInput(cs...)
	in.Settings.MaxOperations = 3
	if got := planKeys(mustBuild(t, in).Manifest); !slices.Equal(got, []string{"5", "4", "3"}) {
		t.Errorf("got %v", got)
	}
}

func TestBuildPinWithFigures(t *testing.T) {
	measured := seen("1", 40, 100)
	measured.Planwarm.MeasuredAt = ptr(testNow.Add(-time.Hour))
	r := mustBuild(t, testInput(measured, pushed("1", 0), seen("2", 90, 100)))
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"1", "2"}) {
		t.Fatalf("got %v", got)
	}
	d := r.Manifest.Operations[0].Planwarm
	if d.Source != SourceManual || d.P90Ms != 40 || d.MaxMs != 80 || d.MeanMs != 20 || d.Samples != 10 || d.Executions != 100 || !d.MeasuredAt.Equal(testNow.Add(-time.Hour)) {
		t.Errorf("pin %+v", d)
	}
	// What telemetry calls the same is no second request but for its client.
	if want := []Variant{{Client: &Client{Name: "web"}}}; !reflect.DeepEqual(d.Variants, want) {
		t.Errorf("variants %+v", d.Variants)
	}
	if r.LeftOut[0].Reason != ReasonDuplicate {
		t.Errorf("left out %+v", r.LeftOut)
	}
	// A pin that is out does not take the telemetry with it.
	expired := pushed("1", 0)
	expired.Pin.Until = &testNow
	r = mustBuild(t, testInput(measured, expired))
	if e := r.Manifest.Operations[0].Planwarm; e.Source != SourceTelemetry || e.PushedAt != nil || e.PushedBy != "" {
		t.Errorf("after the pin: %+v", e)
	}
}

func TestBuildMergesByPlanKey(t *testing.T) {
	a, b, c := seen("1", 10, 100), seen("1", 30, 50), seen("1", 20, 70)
	b.Request = Request{Query: "{ f1 }"} // no name, other text
	b.Client = &Client{Name: "ios", Version: "2"}
	c.Client = nil
	c.Planwarm.MeasuredAt = ptr(testNow.Add(time.Hour))
	a.Planwarm.MeasuredAt = ptr(testNow)
	r := mustBuild(t, testInput(c, b, a))
	if len(r.Manifest.Operations) != 1 {
		t.Fatalf("got %v", planKeys(r.Manifest))
	}
	e := r.Manifest.Operations[0]
	d := e.Planwarm
	if e.Request != a.Request || d.P90Ms != 30 || d.MaxMs != 60 || d.Samples != 30 || d.Executions != 220 || d.MeanMs != 10 || !d.MeasuredAt.Equal(testNow.Add(time.Hour)) {
		t.Errorf("entry %+v", e)
	}
	want := []Variant{{OperationName: ptr(""), Query: "{ f1 }", Client: &Client{Name: "ios", Version: "2"}}}
	if !reflect.DeepEqual(d.Variants, want) {
		t.Errorf("variants %+v", d.Variants)
	}
	all := e.Expand()
	if len(all) != 2 || all[1].Request != b.Request || all[1].Planwarm.PlanKey != "1" || *all[1].Client != *b.Client {
		t.Errorf("expanded %+v", all)
	}
}

// A conditional operation has several plans and one slot; a candidate that is
// one of these plans has no slot of its own.
func TestBuildConditionalEntry(t *testing.T) {
	a := seen("1", 10, 100)
	a.Planwarm.Conditions = map[string]bool{"x": true}
	a.Planwarm.Variants = []Variant{{PlanKey: "2", Conditions: map[string]bool{"x": false}}}
	b := seen("2", 50, 10)
	r := mustBuild(t, testInput(b, a, seen("3", 5, 5)))
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"1", "3"}) {
		t.Fatalf("got %v", got)
	}
	d := r.Manifest.Operations[0].Planwarm
	if d.P90Ms != 50 || d.Executions != 110 {
		t.Errorf("entry %+v", d)
	}
	want := []Variant{
		{PlanKey: "2", Conditions: map[string]bool{"x": false}},
		{OperationName: ptr("Op2"), Query: b.Request.Query, PlanKey: "2"},
	}
	if !reflect.DeepEqual(d.Variants, want) {
		t.Errorf("variants %+v", d.Variants)
	}
}

// A pin that came in without a planner at hand finds its plan in telemetry.
func TestBuildJoinsByRequestWithoutKey(t *testing.T) {
	pin := pushed("1", 0)
	pin.Planwarm.PlanKey = ""
	measured := seen("1", 40, 100)
	measured.Planwarm.Conditions = map[string]bool{"x": true}
	other := seen("1", 40, 10)
	other.Planwarm.Conditions = map[string]bool{"x": true}
	other.Request.Query = "{ f1 }"
	twin := pin
	twin.Pin, twin.Client = nil, &Client{Name: "tv"}
	r := mustBuild(t, testInput(other, measured, pin, twin, seen("2", 5, 5)))
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"1", "2"}) {
		t.Fatalf("got %v", got)
	}
	d := r.Manifest.Operations[0].Planwarm
	if d.Source != SourceManual || d.P90Ms != 40 || d.Executions != 110 || !d.Conditions["x"] {
		t.Errorf("entry %+v", d)
	}
	want := []Variant{
		{Client: &Client{Name: "web"}},
		{Query: "{ f1 }", Client: &Client{Name: "web"}, Conditions: map[string]bool{"x": true}},
		{Client: &Client{Name: "tv"}},
	}
	if !reflect.DeepEqual(d.Variants, want) {
		t.Errorf("variants %+v", d.Variants)
	}
}

func TestBuildBoundsVariants(t *testing.T) {
	var cs []Candidate
	for i := range 3 * MaxVariants {
		c := seen("1", 10, uint64(1000-i))
		c.Client = &Client{Name: "c" + strings.Repeat("x", i)}
		cs = append(cs, c)
	}
	last := seen("1", 10, 2)
	last.Planwarm.Variants = []Variant{{PlanKey: "2", Conditions: map[string]bool{"a": true}}}
	cs = append(cs, last)
	d := mustBuild(t, testInput(cs...)).Manifest.Operations[0].Planwarm
	if len(d.Variants) != MaxVariants {
		t.Fatalf("%d variants", len(d.Variants))
	}
	if d.Variants[0].PlanKey != "2" || d.Variants[1].Client.Name != "cx" {
		t.Errorf("a plan of its own goes first, then the most executed: %+v", d.Variants[:2])
	}
}

func TestBuildDeny(t *testing.T) {
	a, b, c, d := seen("1", 10, 10), seen("2", 10, 10), seen("3", 10, 10), seen("4", 10, 10)
	c.Planwarm.Variants = []Variant{{PlanKey: "30"}, {OperationName: ptr("Op1")}, {Client: &Client{Name: "tv"}}}
	in := testInput(a, b, c, d, pushed("5", 0))
	in.Deny = []Deny{{OperationName: "Op1"}, {PlanKey: "2"}, {PlanKey: "30"}, {ID: PinID(pushed("5", 0).Request)}, {ID: PinID(d.Request)}}
	r := mustBuild(t, in)
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"3"}) {
		t.Fatalf("got %v, left out %v", got, r.LeftOut)
	}
	if v := r.Manifest.Operations[0].Planwarm.Variants; len(v) != 1 || v[0].Client == nil {
		t.Errorf("denied variants stayed: %+v", v)
	}
	if len(c.Planwarm.Variants) != 3 {
		t.Error("the candidate was changed")
	}
}

// Success must not erase its own evidence.
func TestBuildKeepsCostWithoutSamples(t *testing.T) {
	measured := testNow.Add(-24 * time.Hour)
	hot := seen("1", 40, 100)
	hot.Planwarm.MeasuredAt = &measured
	keyless := seen("", 30, 100)
	gone := seen("3", 20, 100)
	previous := mustBuild(t, testInput(hot, keyless, gone)).Manifest
	if previous.Operations[1].Planwarm.MeasuredAt == nil {
		t.Error("samples without a time of measurement")
	}

	warm := func(c Candidate) Candidate {
		c.Planwarm.P90Ms, c.Planwarm.MaxMs, c.Planwarm.Samples, c.Planwarm.MeasuredAt, c.SumMs = 0, 0, 0, nil, 0
		return c
	}
	idle := warm(gone)
	idle.Planwarm.Executions = 0
	fresh := seen("4", 10, 10)
	in := testInput(warm(hot), warm(keyless), idle, fresh, warm(seen("5", 0, 10)))
	in.Previous = &previous
	r := mustBuild(t, in)
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"1", "", "4"}) {
		t.Fatalf("got %v, left out %+v", got, r.LeftOut)
	}
	d := r.Manifest.Operations[0].Planwarm
	if d.P90Ms != 40 || d.MaxMs != 80 || d.MeanMs != 20 || d.Samples != 10 || !d.MeasuredAt.Equal(measured) || d.Executions != 100 {
		t.Errorf("kept %+v", d)
	}
	if why := reasons(r); why["3"] != ReasonMinExecutions || why["5"] != ReasonNoSamples {
		t.Errorf("left out %v", why)
	}
	if r.Manifest.Sequence != previous.Sequence+1 {
		t.Errorf("sequence %d", r.Manifest.Sequence)
	}
	// A pin that nobody asks for does not claim to know today's cost.
	in.Candidates = append(in.Candidates, pushed("3", 0))
	if d := mustBuild(t, in).Manifest.Operations[0].Planwarm; d.PlanKey != "3" || d.P90Ms != 0 || d.Samples != 0 || d.MeasuredAt != nil {
		t.Errorf("idle pin %+v", d)
	}
	in.Candidates = in.Candidates[:len(in.Candidates)-1]
	// New samples win, even when they say less.
	in.Candidates[0] = seen("1", 7, 100)
	if d := mustBuild(t, in).Manifest.Operations[2].Planwarm; d.PlanKey != "1" || d.P90Ms != 7 {
		t.Errorf("after new samples %+v", d)
	}
}

func TestBuildClientShare(t *testing.T) {
	in := testInput(seen("1", 90, 9), seen("2", 80, 9), seen("3", 70, 9), seen("4", 60, 9), seen("5", 50, 9))
	in.Settings.MaxOperations, in.Settings.MaxSharePerClient = 4, 0.5
	in.Candidates[3].Client = &Client{Name: "ios"}
	in.Candidates[4].Clients = map[Client]uint64{{Name: "web", Version: "1"}: 4, {Name: "tv"}: 5, {Name: "web", Version: "2"}: 4}
	r := mustBuild(t, in)
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"1", "2", "4"}) {
		t.Errorf("got %v", got)
	}
	if got, want := reasons(r), (map[string]Reason{"3": ReasonClientShare, "5": ReasonClientShare}); !reflect.DeepEqual(got, want) {
		t.Errorf("left out %v", got)
	}
}

func TestBuildRankSaved(t *testing.T) {
	in := testInput(seen("1", 100, 10), seen("2", 50, 1_000_000), seen("3", 51, 100))
	in.Settings.Rank = RankSaved
	r := mustBuild(t, in)
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"2", "3", "1"}) {
		t.Errorf("got %v", got)
	}
	want := (1 - math.Exp(-100.0/(168*3600)*300)) * 51
	if got := r.Manifest.Operations[1].Planwarm.Score; math.Abs(got-want) > 1e-4 {
		t.Errorf("score %v, want %v", got, want)
	}
	in.Window = 0
	if _, err := Build(in); !errors.Is(err, ErrInvalid) {
		t.Errorf("without a window there is no rate: %v", err)
	}
}

func TestBuildRankBudget(t *testing.T) {
	mean := func(c Candidate, ms float64) Candidate { c.SumMs = ms * 10; return c }
	in := testInput(
		mean(seen("1", 900, 1000), 900), // much saved, and much of the budget
		mean(seen("2", 100, 1000), 50),
		mean(seen("3", 80, 1000), 20),
		mean(seen("4", 30, 1000), 25),
		mean(pushed("5", 0), 0),
		mean(seen("5", 10, 10), 10),
	)
	in.Settings.Rank, in.Settings.Budget = RankBudget, 90*time.Millisecond
	r := mustBuild(t, in)
	// The pin takes 10 of 90; density is 4, 2, 1.2, 1; the fourth no longer fits.
	if got := planKeys(r.Manifest); !slices.Equal(got, []string{"5", "3", "2"}) {
		t.Errorf("got %v", got)
	}
	if why := reasons(r); why["1"] != ReasonOverBudget || why["4"] != ReasonOverBudget {
		t.Errorf("left out %v", why)
	}
	// What fits to the millisecond is in; what does not makes way for less.
	for budget, want := range map[time.Duration][]string{80 * time.Millisecond: {"5", "3", "2"}, 79 * time.Millisecond: {"5", "3", "4"}} {
		in.Settings.Budget = budget
		if got := planKeys(mustBuild(t, in).Manifest); !slices.Equal(got, want) {
			t.Errorf("budget %s: got %v, want %v", budget, got, want)
		}
	}
}

// What does not fit into the size of a manifest is left out; the rest is published.
func TestBuildStaysEncodable(t *testing.T) {
	var cs []Candidate
	for i := range 100 {
		c := seen(strconv.Itoa(i), 1000-float64(i), 10)
		c.Request.Query = strings.Repeat("\x01", MaxQueryBytes) // six bytes each in JSON
		if i == 99 {
			c.Request.Query = "{ small }"
		}
		cs = append(cs, c)
	}
	r := mustBuild(t, testInput(cs...))
	data, err := Encode(r.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) < MaxBytes*9/10 {
		t.Errorf("only %d bytes used", len(data))
	}
	if last := r.Manifest.Operations[len(r.Manifest.Operations)-1]; last.Request.Query != "{ small }" {
		t.Error("a small operation behind large ones was left out")
	}
	if r.LeftOut[0].Reason != ReasonManifestTooLarge {
		t.Errorf("left out %+v", r.LeftOut[0])
	}
}

// Readers refuse documents of too many values, whatever their size.
func TestBuildStaysBelowTheBoundOnValues(t *testing.T) {
	conditions := make(map[string]bool)
	for i := range MaxConditions {
		conditions["v"+strconv.Itoa(i)] = true
	}
	var cs []Candidate
	for i := range 950 {
		c := seen(strconv.Itoa(i), 10, 10)
		for j := range MaxVariants {
			c.Planwarm.Variants = append(c.Planwarm.Variants, Variant{PlanKey: strconv.Itoa(100_000 + i*MaxVariants + j), Conditions: conditions})
		}
		cs = append(cs, c)
	}
	in := testInput(cs...)
	in.Settings.MaxOperations = MaxEntries
	r := mustBuild(t, in)
	data, err := Encode(r.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.LeftOut) == 0 || r.LeftOut[0].Reason != ReasonManifestTooLarge || len(data) > MaxBytes*3/4 {
		t.Errorf("%d left out, %d bytes: the bound was not met", len(r.LeftOut), len(data))
	}
}

func TestBuildRefusesSettings(t *testing.T) {
	for name, change := range map[string]func(*Input){
		"settings": func(in *Input) { in.Settings = Settings{} },
		"graph":    func(in *Input) { in.Graph.Name = "" },
		"schema":   func(in *Input) { in.Schema = "abc" },
	} {
		in := testInput(seen("1", 1, 2))
		change(&in)
		if _, err := Build(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	r := mustBuild(t, testInput())
	if len(r.Manifest.Operations) != 0 || len(r.LeftOut) != 0 {
		t.Errorf("out of nothing came %+v", r)
	}
}
