package telemetry

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

func TestUsagesAreOrdered(t *testing.T) {
	table := newTable(t, nil)
	for i, hash := range []string{"9", "10", "2", "33", "1"} {
		table.Span(start, spanOf(uint64(i+1), hash, time.Millisecond))
	}
	var got []string
	for _, u := range table.Usages(start, DefaultWindow) {
		got = append(got, u.Hash)
	}
	if !slices.IsSorted(got) || len(got) != 5 {
		t.Errorf("got %v", got)
	}
}

// keyed fills a table with three hashes of one plan and one of another.
func keyed(t *testing.T, instance string, first uint64) *Table {
	table := newTable(t, func(o *Options) { o.Instance = instance })
	id := first
	for i, hash := range []string{"a", "b", "c", "d"} {
		for n := range 10 * (i + 1) {
			id++
			s := spanOf(id, hash, time.Duration(n+1)*time.Duration(i+1)*time.Millisecond)
			s.Op.PlanKey = "plan"
			if hash == "d" {
				s.Op.PlanKey = ""
			}
			table.Span(start.Add(time.Duration(i)*time.Minute), s)
		}
	}
	table.Text(start, Operation{Hash: "b"}, "query B { x }")
	table.Text(start, Operation{Hash: "a"}, "query A { x }")
	return table
}

func byPlan(u Usage) string { return u.PlanKey }

func TestUsageByMergesOnePlan(t *testing.T) {
	got := keyed(t, "", 0).UsageBy(start.Add(time.Hour), DefaultWindow, byPlan)
	if len(got) != 2 {
		t.Fatalf("got %d usages", len(got))
	}
	u := got[0]
	if u.Hash != "b" || u.Text != "QUERY B { X }" || u.Executions != 60 || u.Samples != 60 || u.Count != 60 || u.Clients[Client{"web", "1"}] != 60 {
		t.Errorf("got %+v", u)
	}
	if !slices.Equal(u.Hashes, []string{"a", "b", "c"}) || !slices.Equal(u.Names, []string{"Opa", "Opb", "Opc"}) || !u.LastSeen.Equal(start.Add(2*time.Minute)) {
		t.Errorf("got %+v", u)
	}
	if len(u.Members) != 3 || u.Members[0].Text != "QUERY A { X }" || u.Members[2].Executions != 30 {
		t.Errorf("members %+v", u.Members)
	}
	var values []float64
	for i := range 3 {
		for n := range 10 * (i + 1) {
			values = append(values, float64((n+1)*(i+1)))
		}
	}
	slices.Sort(values)
	within(t, "P90", u.P90, nearestRank(values, 90))
	within(t, "P50", u.P50, nearestRank(values, 50))
	if got[1].Hash != "d" || got[1].Executions != 40 {
		t.Errorf("an operation without a key is not by itself: %+v", got[1])
	}
}

func TestMergedOldSamplesDoNotMix(t *testing.T) {
	table := newTable(t, nil)
	table.Span(start, spanOf(1, "a", 500*time.Millisecond))
	later := start.Add(12 * 24 * time.Hour)
	hit := spanOf(2, "a", time.Microsecond)
	hit.Hit = true
	table.Span(later, hit)
	table.Span(later, spanOf(3, "b", 20*time.Millisecond))
	got := table.UsageBy(later, DefaultWindow, func(Usage) string { return "same" })
	if len(got) != 1 || got[0].Samples != 1 || got[0].Max != 20 || got[0].Executions != 2 {
		t.Errorf("got %+v", got)
	}
}

func TestCombineAddsInstances(t *testing.T) {
	one, two := keyed(t, "one", 0), keyed(t, "two", 1000)
	now := start.Add(time.Hour)
	alone := one.UsageBy(now, DefaultWindow, byPlan)
	both := Combine(now, DefaultWindow, byPlan, one, two)
	if len(both) != 2 || both[0].Executions != 120 || both[0].Samples != 120 || both[0].P90 != alone[0].P90 || both[0].Text != alone[0].Text {
		t.Errorf("got  %+v\nalone %+v", both, alone)
	}
	// The own checkpoint beside the live table adds nothing, and every
	// publisher comes to the same result.
	if got := Combine(now, DefaultWindow, byPlan, one, reread(t, one), two, two); !reflect.DeepEqual(got, both) {
		t.Errorf("got  %+v\nwant %+v", got, both)
	}
	if got := Combine(now, DefaultWindow, byPlan, reread(t, two), reread(t, one)); !reflect.DeepEqual(got, both) {
		t.Errorf("got  %+v\nwant %+v", got, both)
	}
	if got := Combine(now, DefaultWindow, nil); len(got) != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}

// Tables number layouts and groups by themselves.
func TestCombineTranslatesLayouts(t *testing.T) {
	one, two := newTable(t, nil), newTable(t, nil)
	point := func(table *Table, instance string, bounds []float64, value float64) {
		p := Point{Instance: instance, Temporality: Delta, Time: 1, Op: Operation{Hash: "7"}, Count: 10, Sum: 10 * value, Min: value, Max: value,
			Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
		at, _ := slices.BinarySearch(bounds, value)
		p.Counts[at] = 10
		table.Point(start, p)
	}
	point(one, "x", []float64{1, 2, 3}, 2.5)
	point(one, "y", []float64{10, 20}, 15)
	point(two, "z", []float64{10, 20}, 15)
	point(two, "y", []float64{1, 2, 3}, 2.5)
	u := usageOf(t, Combine(start, DefaultWindow, nil, one, two), "7")
	// y is in both tables, under two bounds: its two parts are one stream.
	if u.Samples != 40 || u.Executions != 40 || u.Max != 15 || u.Min != 2.5 || u.P90 != 15 || u.P50 != 2.5 {
		t.Errorf("got %+v", u)
	}
}
