package telemetry

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// event is anything that a table can be told.
type event func(at time.Time, t *Table)

var testBounds = []float64{0, 5, 10, 25, 50, 100, 1000}

// explicitPoint makes a point of values.
func explicitPoint(values []float64) Point {
	p := Point{Op: Operation{Hash: "7"}, Bounds: testBounds, Counts: make([]uint64, len(testBounds)+1)}
	for i, v := range values {
		at := 0
		for at < len(testBounds) && v > testBounds[at] {
			at++
		}
		p.Counts[at]++
		p.Count++
		p.Sum += v
		if i == 0 {
			p.Min, p.Max = v, v
		}
		p.Min, p.Max = min(p.Min, v), max(p.Max, v)
	}
	return p
}

// traffic makes what three metric readers, the tracer and graphqlmetrics of
// one router tell of the same executions.
func traffic(seed uint64) []event {
	r := rand.New(rand.NewPCG(seed, 9))
	var events []event
	add := func(e event) { events = append(events, e) }
	total := make(map[string][]float64)
	for interval := range uint64(12) {
		var requests []Request
		for n := range 5 {
			hash := fmt.Sprint(n)
			op := Operation{Hash: hash, Name: "N" + hash, Client: Client{Name: "web"}}
			var values []float64
			for i := range 1 + r.IntN(6) {
				took := time.Duration(1 + r.Int64N(2e9))
				values = append(values, milliseconds(int64(took)))
				s := spanOf(interval*1000+uint64(n*100+i+1), hash, took)
				add(func(at time.Time, t *Table) { t.Span(at, s) })
			}
			total[hash] = append(total[hash], values...)
			for _, transport := range []string{"http", "grpc"} {
				p := explicitPoint(values)
				p.Instance, p.Transport, p.Temporality, p.Op = "a", transport, Delta, op
				p.Start, p.Time = interval, interval+1
				add(func(at time.Time, t *Table) { t.Point(at, p) })
			}
			p := explicitPoint(total[hash])
			p.Instance, p.Transport, p.Temporality, p.Op, p.Start, p.Time = "a", "http", Cumulative, op, 1, interval+2
			add(func(at time.Time, t *Table) { t.Point(at, p) })
			requests = append(requests, Request{Op: op, Document: "{ f" + hash + " }", Count: uint64(len(values))})
		}
		add(func(at time.Time, t *Table) { t.Requests(at, [32]byte{byte(interval + 1)}, requests) })
	}
	return events
}

// identical compares usages but for the counts of accesses, which are for
// order only, and the arrival times.
func identical(t *testing.T, what string, got, want []Usage) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d usages, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		g.Count, w.Count, g.LastSeen, w.LastSeen, g.MeasuredAt, w.MeasuredAt = 0, 0, time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if !reflect.DeepEqual(g, w) {
			t.Fatalf("%s:\ngot  %+v\nwant %+v", what, g, w)
		}
	}
}

func TestDoubledAndShuffledCountsOnce(t *testing.T) {
	for seed := range uint64(20) {
		events := traffic(seed)
		r := rand.New(rand.NewPCG(seed, 4))
		if seed%2 == 1 { // a part of the sources, so that each comes to be the one that counts
			r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			events = events[:len(events)/2]
		}
		once := newTable(t, nil)
		for _, e := range events {
			e(start, once)
		}
		want := once.Usages(start, DefaultWindow)

		doubled := append(append([]event{}, events...), events...)
		if seed%2 == 0 {
			r.Shuffle(len(doubled), func(i, j int) { doubled[i], doubled[j] = doubled[j], doubled[i] })
		}
		table := newTable(t, nil)
		for i, e := range doubled {
			if i == len(doubled)/2 { // a restart in between
				table = reread(t, table)
			}
			e(start.Add(time.Duration(i)*time.Millisecond), table)
		}
		identical(t, fmt.Sprintf("seed %d", seed), table.Usages(start, DefaultWindow), want)
	}
}

func TestShuffledMetricAloneIsExact(t *testing.T) {
	for seed := range uint64(10) {
		var events []event
		for _, e := range traffic(seed) {
			probe := newTable(t, nil)
			if e(start, probe); probe.Stats().Points == 1 {
				events = append(events, e)
			}
		}
		once := newTable(t, nil)
		for _, e := range events {
			e(start, once)
		}
		want := once.Usages(start, DefaultWindow)
		r := rand.New(rand.NewPCG(seed, 6))
		r.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
		table := newTable(t, nil)
		for _, e := range append(events, events...) {
			e(start, table)
		}
		identical(t, fmt.Sprintf("seed %d", seed), table.Usages(start, DefaultWindow), want)
	}
}

// reread returns the table that comes out of a checkpoint.
func reread(t testing.TB, table *Table) *Table {
	t.Helper()
	var b bytes.Buffer
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	again, err := ReadTable(&b, table.options)
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func TestCumulativeStream(t *testing.T) {
	values := []float64{1, 30, 4, 60, 200, 8, 3, 700}
	at := func(start, n int, time uint64) Point {
		p := explicitPoint(values[:n])
		p.Temporality, p.Start, p.Time = Cumulative, uint64(start), time
		return p
	}
	for name, c := range map[string]struct {
		points   []Point
		samples  uint64
		sum, max float64
	}{
		"in order":              {[]Point{at(1, 2, 10), at(1, 5, 20), at(1, 8, 30)}, 8, 1006, 700},
		"the middle one late":   {[]Point{at(1, 2, 10), at(1, 8, 30), at(1, 5, 20)}, 8, 1006, 700},
		"the newest first":      {[]Point{at(1, 8, 30), at(1, 5, 20), at(1, 2, 10)}, 8, 1006, 700},
		"a duplicate":           {[]Point{at(1, 5, 20), at(1, 5, 20)}, 5, 295, 200},
		"idle":                  {[]Point{at(1, 5, 20), at(1, 5, 30), at(1, 5, 40)}, 5, 295, 200},
		"a new start":           {[]Point{at(1, 5, 20), at(25, 2, 30)}, 7, 326, 200},
		"the old start again":   {[]Point{at(1, 5, 20), at(25, 2, 30), at(1, 4, 15)}, 7, 326, 200},
		"a reset without start": {[]Point{at(1, 5, 20), at(1, 2, 30)}, 7, 326, 200},
	} {
		table := newTable(t, nil)
		for _, p := range c.points {
			table.Point(start, p)
		}
		u := usageOf(t, table.Usages(start, DefaultWindow), "7")
		if u.Samples != c.samples || u.Executions != c.samples || u.Sum != c.sum || u.Max != c.max || u.Min != 1 {
			t.Errorf("%s: %d samples, %d executions, sum %v, max %v, min %v", name, u.Samples, u.Executions, u.Sum, u.Max, u.Min)
		}
	}
}

func TestCumulativeExponentialGetsCoarser(t *testing.T) {
	values := []float64{1, 1.5, 2, 3, 40, 1000, 5000}
	table := newTable(t, nil)
	for i, scale := range []int32{8, 5, 3, 3, 1} {
		p := exponentialPoint(values[:i+3], scale)
		p.Temporality, p.Time = Cumulative, uint64(i+1)
		table.Point(start, p)
	}
	u := usageOf(t, table.Usages(start, DefaultWindow), "7")
	if u.Samples != 7 || u.Executions != 7 || u.P50 < 2 || u.P50 > 4 {
		t.Errorf("got %+v", u)
	}
}

// TestCumulativeHours sees that each hour has what was added in it.
func TestCumulativeHours(t *testing.T) {
	table := newTable(t, nil)
	values := []float64{700, 1, 2, 3}
	for i := range values {
		p := explicitPoint(values[:i+1])
		p.Temporality, p.Time = Cumulative, uint64(i+1)
		table.Point(start.Add(time.Duration(i)*time.Hour), p)
	}
	u := usageOf(t, table.Usages(start.Add(3*time.Hour), 2*time.Hour), "7")
	if u.Samples != 3 || u.Sum != 6 || u.Max > 5 {
		t.Errorf("the last hours: %d samples, sum %v, max %v", u.Samples, u.Sum, u.Max)
	}
}

func TestEqualBodyCountsOnceAMinute(t *testing.T) {
	table := newTable(t, nil)
	body := []Request{{Op: Operation{Hash: "7"}, Count: 5}}
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, false}, {59 * time.Second, false}, {60 * time.Second, true}, {61 * time.Second, false}} {
		if got := table.Requests(start.Add(step.after), [32]byte{1}, body); got != step.want {
			t.Errorf("after %s: counted %v", step.after, got)
		}
	}
	if u := usageOf(t, table.Usages(start, DefaultWindow), "7"); u.Executions != 10 {
		t.Errorf("%d executions", u.Executions)
	}
	if s := table.Stats(); s.DuplicateBodies != 3 {
		t.Errorf("%d duplicates", s.DuplicateBodies)
	}
}

func TestIdentitiesAreBounded(t *testing.T) {
	table := newTable(t, func(o *Options) { o.MaxIdentities = 100; o.MaxStreams = 10 })
	for i := range 1000 {
		table.Span(start, spanOf(uint64(i+1), "7", time.Millisecond))
		p := explicitPoint([]float64{3})
		p.Temporality, p.Stream, p.Time = Delta, uint64(i), 1
		table.Point(start, p)
		p.Temporality = Cumulative
		table.Point(start, p)
	}
	s := table.Stats()
	if s.Identities != 200 || s.IdentitiesDropped != 1800 || s.Streams != 10 || s.StreamsRefused != 990 {
		t.Errorf("%+v", s)
	}
	// The streams that are kept go on; a new one gets in when an old one is silent.
	p := explicitPoint([]float64{3, 3})
	p.Temporality, p.Stream, p.Time = Cumulative, 500, 2
	table.Point(start.Add(11*time.Minute), p)
	if got := table.Stats().StreamsRefused; got != 990 {
		t.Errorf("%d refused", got)
	}
	// Ten minutes later a span of the same identity is new.
	table.Span(start.Add(11*time.Minute), spanOf(1000, "7", time.Millisecond))
	if got := table.Stats().DuplicateSpans; got != 0 {
		t.Errorf("%d duplicates", got)
	}
}

// TestStreamsOfAClockThatRanAhead: streams that ended while the clock was wrong
// do not keep new ones out until that time has come.
func TestStreamsOfAClockThatRanAhead(t *testing.T) {
	table := newTable(t, func(o *Options) { o.MaxStreams = 3 })
	send := func(at time.Time, stream uint64) {
		p := explicitPoint([]float64{3})
		p.Temporality, p.Stream, p.Time = Cumulative, stream, 1
		table.Point(at, p)
	}
	for stream := range uint64(3) {
		send(start.Add(400*24*time.Hour), stream)
	}
	send(start, 10)
	if s := table.Stats(); s.StreamsRefused != 0 || s.Streams != 3 {
		t.Errorf("%+v", s)
	}
}

func TestClockThatGoesBack(t *testing.T) {
	table := newTable(t, nil)
	future := start.Add(400 * 24 * time.Hour)
	table.Span(future, spanOf(1, "7", time.Millisecond))
	table.Span(future, spanOf(1000, "gone", time.Millisecond))
	for i := range 5 {
		table.Span(start.Add(time.Duration(i)*time.Hour), spanOf(uint64(i+2), "7", 2*time.Millisecond))
	}
	table.Span(start.Add(2*time.Hour), spanOf(2, "7", time.Millisecond)) // its identity is long forgotten
	u := usageOf(t, table.Usages(start.Add(5*time.Hour), DefaultWindow), "7")
	if u.Executions != 6 {
		t.Errorf("%d executions", u.Executions)
	}
	// A checkpoint keeps what came after the clock was put right, and so does the
	// table that it is of.
	again := reread(t, table)
	for what, got := range map[string]*Table{"checkpoint": again, "table": table} {
		if n := executionsOf(got.Usages(start.Add(5*time.Hour), DefaultWindow)); n != 6 {
			t.Errorf("%s: %d executions", what, n)
		}
	}
	// A step back within the window is filed where it belongs.
	table.Span(start.Add(100*time.Hour), spanOf(50, "7", time.Millisecond))
	table.Span(start.Add(10*time.Hour), spanOf(51, "7", time.Millisecond))
	if u := usageOf(t, table.Usages(start.Add(100*time.Hour), DefaultWindow), "7"); u.Executions != 8 {
		t.Errorf("%d executions", u.Executions)
	}
}
