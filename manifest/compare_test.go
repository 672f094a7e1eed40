package manifest

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// ranked makes a manifest of telemetry entries with these P90s, keys 1, 2, ...
func ranked(p90s ...float64) Manifest {
	m := Manifest{Format: Format, Graph: testGraph, Rank: RankP90}
	for i, p := range p90s {
		m.Operations = append(m.Operations, seen(string(rune('1'+i)), p, 10).Entry)
	}
	return m
}

// arranged returns m with its entries in another order, by place from 0.
func arranged(m Manifest, order ...int) Manifest {
	ops := make([]Entry, len(order))
	for i, at := range order {
		ops[i] = m.Operations[at]
	}
	m.Operations = ops
	return m
}

func TestSameContent(t *testing.T) {
	base := ranked(100, 90, 40, 10)
	pinned := func(m Manifest, n int) Manifest {
		m.Operations = slices.Clone(m.Operations)
		for i := range n {
			m.Operations[i].Planwarm.Source = SourceManual
		}
		return m
	}
	edit := func(change func(*Entry)) Manifest {
		m := arranged(base, 0, 1, 2, 3)
		change(&m.Operations[1])
		return m
	}
	two := edit(func(e *Entry) {
		e.Planwarm.Variants = []Variant{{Client: &Client{Name: "ios"}}, {OperationName: ptr("")}}
	})
	swapped := edit(func(e *Entry) {
		e.Client = &Client{Name: "ios"}
		e.Planwarm.Variants = []Variant{{OperationName: ptr(""), Client: &Client{Name: "web"}}, {Client: &Client{Name: "web"}}}
	})
	saved := ranked(1, 1, 1)
	saved.Rank = RankSaved
	for i, score := range []float64{30, 20, 1} {
		saved.Operations[i].Planwarm.Score = score
	}
	tests := []struct {
		name            string
		published, next Manifest
		want            bool
	}{
		{"itself", base, base, true},
		{"figures, time, sequence", base, func() Manifest {
			m := ranked(500, 90, 41, 3)
			m.Sequence, m.GeneratedAt, m.Signature = 9, testNow, &Signature{}
			return m
		}(), true},
		{"neighbours of nearly one value", arranged(base, 1, 0, 2, 3), base, true},
		{"neighbours far apart", arranged(base, 0, 2, 1, 3), base, false},
		{"just within the bound", arranged(ranked(141, 100), 1, 0), ranked(141, 100), true},
		{"just beyond it", arranged(ranked(142, 100), 1, 0), ranked(142, 100), false},
		{"small steps that add up", arranged(ranked(100, 80, 64), 2, 1, 0), ranked(100, 80, 64), false},
		{"one more", base, ranked(100, 90, 40, 10, 5), false},
		{"one fewer", base, ranked(100, 90, 40), false},
		{"another one", base, arranged(ranked(100, 90, 40, 10, 9), 0, 1, 2, 4), false},
		{"text", base, edit(func(e *Entry) { e.Request.Query += " " }), false},
		{"name", base, edit(func(e *Entry) { e.Request.OperationName = "" }), false},
		{"client", base, edit(func(e *Entry) { e.Client = &Client{Name: "web", Version: "2"} }), false},
		{"plan key", base, edit(func(e *Entry) { e.Planwarm.PlanKey = "9" }), false},
		{"conditions", base, edit(func(e *Entry) { e.Planwarm.Conditions = map[string]bool{"a": true} }), false},
		{"one more variant", base, two, false},
		{"the main request and a variant change places", two, swapped, true},
		{"pins in another order", pinned(arranged(base, 1, 0, 2, 3), 2), pinned(base, 2), false},
		{"a pin was not on top", arranged(pinned(base, 1), 1, 0, 2, 3), pinned(base, 1), false},
		{"telemetry below pins", arranged(pinned(base, 1), 0, 1, 2, 3), pinned(base, 1), true},
		{"rank saved, close", arranged(saved, 1, 0, 2), func() Manifest { m := arranged(saved, 0, 1, 2); m.Operations[0].Planwarm.Score = 25; return m }(), true},
		{"rank saved, far", arranged(saved, 1, 0, 2), saved, false},
		{"empty", Manifest{}, Manifest{}, true},
	}
	for _, tt := range tests {
		if got := SameContent(tt.published, tt.next); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDiff(t *testing.T) {
	a := ranked(100, 90, 80, 70, 60)
	b := arranged(ranked(100, 90, 80, 70, 60, 50), 4, 0, 1, 5, 3) // 3 gone, 6 new, 5 on top
	b.Operations[1].Request.OperationName = "Renamed"
	b.Operations[1].Client = nil
	b.Operations[2].Planwarm.Source = SourceManual
	b.Operations[4].Planwarm.Variants = []Variant{{OperationName: ptr("")}}
	b.Operations[4].Planwarm.P90Ms = 71 // a figure is no change
	d := Diff(a, b)
	want := Difference{
		Added:   []Change{{OperationName: "Op6", PlanKey: "6", Source: SourceTelemetry, Client: &Client{Name: "web"}, To: 4, P90Ms: 50}},
		Removed: []Change{{OperationName: "Op3", PlanKey: "3", Source: SourceTelemetry, Client: &Client{Name: "web"}, From: 3, P90Ms: 80}},
		Moved:   []Change{{OperationName: "Op5", PlanKey: "5", Source: SourceTelemetry, Client: &Client{Name: "web"}, From: 5, To: 1, P90Ms: 60}},
		Changed: []Change{
			{OperationName: "Renamed", PlanKey: "1", Source: SourceTelemetry, From: 1, To: 2, P90Ms: 100, Fields: []string{"operationName", "client"}},
			{OperationName: "Op2", PlanKey: "2", Source: SourceManual, Client: &Client{Name: "web"}, From: 2, To: 3, P90Ms: 90, Fields: []string{"source"}},
			{OperationName: "Op4", PlanKey: "4", Source: SourceTelemetry, Client: &Client{Name: "web"}, From: 4, To: 5, P90Ms: 71, Fields: []string{"variants"}},
		},
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got\n%+v, want\n%+v", d, want)
	}
	text := `+ Op6 [6] web p90 50.0 ms at 4
- Op3 [3] web p90 80.0 ms from 3
> Op5 [5] web p90 60.0 ms from 5 to 1
~ Renamed [1] p90 100.0 ms: operationName, client
~ Op2 [2] web pinned p90 90.0 ms: source
~ Op4 [4] web p90 71.0 ms: variants
`
	if got := d.String(); got != text {
		t.Errorf("got\n%swant\n%s", got, text)
	}
	data, err := json.Marshal(d)
	if err != nil || strings.Contains(string(data), "query") || !strings.Contains(string(data), `"removed":[{"operationName":"Op3"`) {
		t.Errorf("JSON %s, %v", data, err)
	}
}

func TestDiffFields(t *testing.T) {
	base := fullManifest()
	for field, change := range map[string]func(*Entry){
		"query":          func(e *Entry) { e.Request.Query += " " },
		"persistedQuery": func(e *Entry) { e.Request.Extensions = nil },
		"profile":        func(e *Entry) { e.Planwarm.Profile = "other" },
		"conditions":     func(e *Entry) { e.Planwarm.Conditions = map[string]bool{"a": false} },
	} {
		m := fullManifest()
		m.Operations[0].Planwarm.Variants, base.Operations[0].Planwarm.Variants = nil, nil
		change(&m.Operations[0])
		d := Diff(base, m)
		if len(d.Changed) != 1 || !reflect.DeepEqual(d.Changed[0].Fields, []string{field}) || len(d.Added)+len(d.Removed)+len(d.Moved) > 0 {
			t.Errorf("%s: got %+v", field, d)
		}
	}
	if d := Diff(base, base); !d.Empty() || d.String() != "no difference\n" {
		t.Errorf("with itself: %s", d)
	}
	twice := Manifest{Operations: []Entry{{Request: Request{Query: "{a}"}}, {Request: Request{Query: "{a}"}, Client: &Client{Name: "web"}}}}
	if d := Diff(twice, twice); !d.Empty() {
		t.Errorf("without keys: %s", d)
	}
}

func TestMerge(t *testing.T) {
	entry := func(key, query string, variants ...string) Entry {
		e := Entry{Request: Request{Query: query}, Planwarm: Details{PlanKey: key}}
		for _, k := range variants {
			e.Planwarm.Variants = append(e.Planwarm.Variants, Variant{PlanKey: k})
		}
		return e
	}
	first := []Entry{entry("1", "{a}"), entry("2", "{b}", "3"), entry("", "{c}")}
	rest := []Entry{
		entry("9", "{i}"),
		entry("1", "{a2}"),     // the same plan in another text
		entry("3", "{d}"),      // a variant's plan
		entry("", "{a}"),       // the same request, without a key
		entry("8", "{c}"),      // the same request, with a key
		entry("3", "{e}", "7"), // one plan is there, one is not
		entry("", "{h}"),
		entry("9", "{j}"),
	}
	queries := func(list []Entry) string {
		var b strings.Builder
		for _, e := range list {
			b.WriteString(e.Request.Query)
		}
		return b.String()
	}
	if got := queries(Merge(first, rest, 0)); got != "{a}{b}{c}{i}{e}{h}" {
		t.Errorf("got %s", got)
	}
	for limit, want := range map[int]string{1: "{a}", 3: "{a}{b}{c}", 4: "{a}{b}{c}{i}", 100: "{a}{b}{c}{i}{e}{h}", -1: "{a}{b}{c}{i}{e}{h}"} {
		if got := queries(Merge(first, rest, limit)); got != want {
			t.Errorf("limit %d: got %s, want %s", limit, got, want)
		}
	}
	if got := Merge(nil, nil, 5); len(got) != 0 {
		t.Errorf("nothing and nothing: %v", got)
	}
	// The same text under other conditions is another request.
	on, off := entry("", "{a}"), entry("", "{a}")
	on.Planwarm.Conditions, off.Planwarm.Conditions = map[string]bool{"x": true}, map[string]bool{"x": false}
	if got := Merge([]Entry{on}, []Entry{off, on}, 0); len(got) != 2 {
		t.Errorf("conditions: %d entries", len(got))
	}
}
