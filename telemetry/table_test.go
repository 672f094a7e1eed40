package telemetry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// start is on the hour and in the middle of a day.
var start = time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)

// canonical lifts nothing: a text is its own canonical form, in capitals so
// that a test sees whether it went through here.
func canonical(text, name string) (Canonical, error) {
	if strings.Contains(text, "!") {
		return Canonical{}, errors.New("refused")
	}
	return Canonical{Text: strings.ToUpper(text), Name: name, Key: fmt.Sprintf("key-%x", hashOf(strings.ToUpper(text)))}, nil
}

func newTable(t testing.TB, change func(*Options)) *Table {
	t.Helper()
	options := Options{Canonical: canonical}
	if change != nil {
		change(&options)
	}
	table, err := NewTable(options)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// spanOf makes a span with an identity of its own.
func spanOf(id uint64, hash string, took time.Duration) Span {
	s := Span{Op: Operation{Hash: hash, Name: "Op" + hash, Type: "query", Client: Client{Name: "web", Version: "1"}}, Duration: took}
	binary.BigEndian.PutUint64(s.TraceID[:], id)
	binary.BigEndian.PutUint64(s.SpanID[:], ^id)
	return s
}

// usageOf returns the usage of one hash.
func usageOf(t testing.TB, usages []Usage, hash string) Usage {
	t.Helper()
	for _, u := range usages {
		if u.Hash == hash {
			return u
		}
	}
	t.Fatalf("no usage of %s among %d", hash, len(usages))
	return Usage{}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"canonical":      {},
		"window":         {Canonical: canonical, Window: time.Minute},
		"max operations": {Canonical: canonical, MaxOperations: -1},
		"max text":       {Canonical: canonical, MaxText: -1},
		"instance":       {Canonical: canonical, Instance: strings.Repeat("x", 300)},
	} {
		if _, err := NewTable(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name it", name, err)
		}
	}
}

func TestSpan(t *testing.T) {
	table := newTable(t, nil)
	for i := range 10 {
		table.Span(start, spanOf(uint64(i+1), "7", time.Duration(i+1)*time.Millisecond))
	}
	hit := spanOf(100, "7", time.Microsecond)
	hit.Hit, hit.Op.Name, hit.Op.Client, hit.Op.PlanKey = true, "Another", Client{Name: "ios"}, "99"
	table.Span(start.Add(time.Minute), hit)
	table.Text(start, Operation{Hash: "7", Name: "Another"}, "query Another { a }")

	got := table.Usages(start.Add(time.Hour), DefaultWindow)
	if len(got) != 1 {
		t.Fatalf("got %d usages", len(got))
	}
	u := got[0]
	want := Usage{
		Hash: "7", Hashes: []string{"7"}, Key: u.Key, PlanKey: "99", Name: "Another", Names: []string{"Another", "Op7"}, Type: "query", Text: "QUERY ANOTHER { A }",
		Members: []Member{{Hash: "7", Name: "Another", Text: "QUERY ANOTHER { A }", Executions: 11}},
		Clients: map[Client]uint64{{"web", "1"}: 10, {"ios", ""}: 1}, Executions: 11,
		Samples: 10, P50: u.P50, P90: u.P90, P99: 10, Min: 1, Max: 10, Mean: 5.5, Sum: 55,
		MeasuredAt: start, LastSeen: start.Add(time.Minute), Count: 11,
	}
	if !reflect.DeepEqual(u, want) {
		t.Errorf("got  %+v\nwant %+v", u, want)
	}
	within(t, "P50", u.P50, 5)
	within(t, "P90", u.P90, 9)
	if u.Key == "" || !u.HasText() {
		t.Error("the text has no key")
	}
}

func TestUsageWithoutText(t *testing.T) {
	table := newTable(t, nil)
	table.Span(start, spanOf(1, "7", time.Millisecond))
	if u := usageOf(t, table.Usages(start, DefaultWindow), "7"); u.HasText() || u.Executions != 1 {
		t.Errorf("got %+v", u)
	}
	if len(table.Hottest(start, 10)) != 0 {
		t.Error("an operation without text is in the snapshot")
	}
	// A text alone is no demand.
	table.Text(start, Operation{Hash: "8"}, "{ b }")
	if got := table.Usages(start, DefaultWindow); len(got) != 1 {
		t.Errorf("got %d usages", len(got))
	}
}

func TestLargestSourceCounts(t *testing.T) {
	table := newTable(t, nil)
	op := Operation{Hash: "7", Client: Client{Name: "web"}}
	for i := range 3 { // sampled
		table.Span(start, spanOf(uint64(i+1), "7", 20*time.Millisecond))
	}
	table.Requests(start, [32]byte{1}, []Request{{Op: op, Count: 30}, {Op: op, Count: 500, Failed: true}})
	metric := func(instance, transport string, temporality Temporality, stream, count uint64) {
		table.Point(start, Point{
			Instance: instance, Transport: transport, Temporality: temporality, Stream: stream, Start: 1, Time: 2, Op: op,
			Count: count, Sum: 5 * float64(count), Min: 5, Max: 5, Bounds: []float64{0, 5, 10}, Counts: []uint64{0, count, 0, 0},
		})
	}
	check := func(what string, executions, samples uint64) {
		t.Helper()
		u := usageOf(t, table.Usages(start, DefaultWindow), "7")
		if u.Executions != executions || u.Samples != samples {
			t.Errorf("%s: %d executions and %d samples, want %d and %d", what, u.Executions, u.Samples, executions, samples)
		}
	}
	check("requests", 30, 3)
	metric("a", "http", Delta, 1, 25)
	metric("a", "grpc", Delta, 1, 25)
	metric("a", "http", Cumulative, 1, 25)
	check("three readers of one router are 25", 30, 3)
	metric("b", "http", Delta, 1, 10)
	check("two routers are 35", 35, 3)
}

func TestMetricSamplesWithoutSpans(t *testing.T) {
	table := newTable(t, nil)
	op := Operation{Hash: "7"}
	for _, r := range []struct {
		transport   string
		temporality Temporality
	}{{"http", Delta}, {"grpc", Delta}, {"http", Cumulative}} {
		p := Point{Instance: "a", Transport: r.transport, Temporality: r.temporality, Start: 1, Time: 2, Op: op,
			Count: 10, Sum: 70, Min: 6, Max: 9, Bounds: []float64{0, 5, 10}, Counts: []uint64{0, 0, 10, 0}}
		table.Point(start, p)
		p.Hit, p.Stream, p.Count = true, 9, 90
		table.Point(start, p)
	}
	u := usageOf(t, table.Usages(start, DefaultWindow), "7")
	if u.Executions != 100 || u.Samples != 10 || u.Sum != 70 || u.P90 < 6 || u.P90 > 9 || u.Max != 9 {
		t.Errorf("got %+v", u)
	}
}

func TestOwnRequestsAreNoDemand(t *testing.T) {
	table := newTable(t, func(o *Options) { o.OwnClient = "planwarm" })
	mine := spanOf(1, "7", 40*time.Millisecond)
	mine.Op.Client.Name = "planwarm"
	table.Span(start, mine)
	table.Text(start, mine.Op, "{ a }")
	if s := table.Stats(); s.Operations != 0 {
		t.Fatal("own requests made an entry")
	}
	table.Span(start, spanOf(2, "7", 10*time.Millisecond))
	mine = spanOf(3, "7", 30*time.Millisecond)
	mine.Op.Client.Name = "planwarm"
	table.Span(start.Add(time.Second), mine)
	table.Requests(start, [32]byte{}, []Request{{Op: mine.Op, Count: 100}})
	table.Point(start, Point{Temporality: Delta, Time: 1, Op: mine.Op, Count: 100, Counts: []uint64{100}})

	u := usageOf(t, table.Usages(start, DefaultWindow), "7")
	if u.Executions != 1 || u.Samples != 1 || u.Max != 10 {
		t.Errorf("own requests count: %+v", u)
	}
	if u.LastCost != 30 || !u.LastCostAt.Equal(start.Add(time.Second)) {
		t.Errorf("last cost %v at %v", u.LastCost, u.LastCostAt)
	}
	table.RecordCost(start.Add(time.Minute), "7", 50*time.Millisecond)
	table.RecordCost(start, "7", time.Millisecond) // older
	table.RecordCost(start, "8", time.Millisecond) // unknown
	if u := usageOf(t, table.Usages(start, DefaultWindow), "7"); u.LastCost != 50 || u.Samples != 1 {
		t.Errorf("last cost %v", u.LastCost)
	}
}

func TestClientsAreBounded(t *testing.T) {
	table := newTable(t, nil)
	send := func(at time.Time, from, to int) {
		for i := from; i < to; i++ {
			s := spanOf(uint64(i+1), "7", time.Millisecond)
			s.Op.Client.Version = fmt.Sprint(i)
			table.Span(at, s)
		}
	}
	send(start, 0, 20)
	u := usageOf(t, table.Usages(start, DefaultWindow), "7")
	if len(u.Clients) != maxClients+1 || u.Clients[OtherClient] != 4 {
		t.Errorf("clients %v", u.Clients)
	}
	// When they have left the window there is room for new ones.
	later := start.Add(10 * 24 * time.Hour)
	send(later, 100, 110)
	u = usageOf(t, table.Usages(later, DefaultWindow), "7")
	if len(u.Clients) != 10 || u.Executions != 10 || u.Clients[Client{"web", "105"}] != 1 {
		t.Errorf("clients %v", u.Clients)
	}
}

func TestMalformedEventsAreCounted(t *testing.T) {
	op := Operation{Hash: "7"}
	for name, p := range map[string]Point{
		"no hash":        {Temporality: Delta, Time: 1, Count: 1, Counts: []uint64{1}},
		"temporality":    {Temporality: 3, Time: 1, Op: op, Count: 1, Counts: []uint64{1}},
		"sum of buckets": {Temporality: Delta, Time: 1, Op: op, Count: 2, Bounds: []float64{1}, Counts: []uint64{1, 0}},
		"bounds":         {Temporality: Delta, Time: 1, Op: op, Count: 1, Bounds: []float64{2, 1}, Counts: []uint64{1, 0, 0}},
		"buckets":        {Temporality: Delta, Time: 1, Op: op, Count: 1, Bounds: []float64{2, 1}, Counts: []uint64{1}},
		"scale":          {Temporality: Delta, Time: 1, Op: op, Count: 1, Exponential: &Exponential{Scale: 40, Counts: []uint64{1}}},
		"too many":       {Temporality: Delta, Time: 1, Op: op, Count: 1 << 50, Counts: []uint64{1 << 50}},
		"long hash":      {Temporality: Delta, Time: 1, Op: Operation{Hash: strings.Repeat("7", 200)}, Count: 1, Counts: []uint64{1}},
	} {
		table := newTable(t, nil)
		table.Point(start, p)
		if s := table.Stats(); s.Malformed != 1 || s.Operations != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestOverflowIsTold(t *testing.T) {
	table := newTable(t, nil)
	table.RecordOverflow(start)
	table.RecordOverflow(start.Add(-time.Hour))
	if s := table.Stats(); s.Overflow != 2 || !s.OverflowAt.Equal(start) {
		t.Errorf("%+v", s)
	}
}

func TestConcurrentUse(t *testing.T) {
	table := newTable(t, func(o *Options) { o.MaxOperations = 50; o.MaxText = 1000 })
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 300 {
				hash := fmt.Sprint(i % 80)
				s := spanOf(uint64(g*1000+i+1), hash, time.Millisecond)
				s.Document = "{ field" + hash + " }"
				table.Span(start, s)
				table.Requests(start, [32]byte{byte(g), byte(i), byte(i >> 8)}, []Request{{Op: s.Op, Document: s.Document, Count: 2}})
				table.Point(start, Point{Instance: "a", Temporality: Cumulative, Stream: uint64(g), Time: uint64(i + 1), Op: s.Op, Count: uint64(i + 1), Counts: []uint64{uint64(i + 1)}})
				switch i % 100 {
				case 50:
					table.Usages(start, DefaultWindow)
				case 60:
					table.Hottest(start, 5)
				case 70:
					if _, err := table.WriteTo(discard{}); err != nil {
						t.Error(err)
					}
				case 80:
					table.RetryTexts()
				}
			}
		})
	}
	wg.Wait()
	if s := table.Stats(); s.Operations != 50 || s.TextBytes > 1000 {
		t.Errorf("%+v", s)
	}
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
