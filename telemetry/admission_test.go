package telemetry

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHostileFloodKeepsWhatIsUsed(t *testing.T) {
	const capacity = 2000
	table := newTable(t, func(o *Options) { o.MaxOperations = capacity })
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.05, 1, 20_000)
	truth := make(map[uint64]int)
	for i := range 600_000 {
		if i%2 == 0 {
			k := zipf.Uint64()
			truth[k]++
			table.Span(start, spanOf(uint64(i+1), fmt.Sprint("real", k), time.Millisecond))
		} else { // never repeated
			table.Span(start, spanOf(uint64(i+1), fmt.Sprint("flood", i), time.Millisecond))
		}
	}
	top := make([]uint64, 0, len(truth))
	for k := range truth {
		top = append(top, k)
	}
	slices.SortFunc(top, func(a, b uint64) int { return truth[b] - truth[a] })
	kept := 0
	for _, k := range top[:capacity/2] {
		if table.operations[fmt.Sprint("real", k)] != nil {
			kept++
		}
	}
	flood := 0
	for hash := range table.operations {
		if strings.HasPrefix(hash, "flood") {
			flood++
		}
	}
	if s := table.Stats(); s.Operations != capacity || s.Rejected == 0 {
		t.Errorf("%+v", s)
	}
	if kept < capacity/2*95/100 || flood > capacity/10 {
		t.Errorf("kept %d of the true top %d, and %d of the flood", kept, capacity/2, flood)
	}
}

func TestFloodAllocatesNeitherTextNorHistogram(t *testing.T) {
	runs := 0
	table := newTable(t, func(o *Options) {
		o.MaxOperations = 10
		o.Canonical = func(text, name string) (Canonical, error) {
			runs++
			return canonical(text, name)
		}
	})
	for i := range 10 {
		for n := range 50 {
			table.Requests(start, [32]byte{byte(i), byte(n)}, []Request{{Op: Operation{Hash: fmt.Sprint(i)}, Document: fmt.Sprintf("{ f%d }", i), Count: 1}})
		}
	}
	if runs != 10 {
		t.Errorf("canonical ran %d times for 10 texts", runs)
	}
	before := table.Stats()
	for i := range 5000 {
		s := spanOf(uint64(i+1), "", time.Millisecond)
		s.Document = fmt.Sprintf("{ flood%d }", i)
		table.Span(start, s)
	}
	if after := table.Stats(); runs > 10+20 || after.Evicted > 2 || after.TextBytes > 2*before.TextBytes {
		t.Errorf("canonical ran %d times: %+v", runs, after)
	}
}

func TestCountsAge(t *testing.T) {
	const capacity = 100
	table := newTable(t, func(o *Options) { o.MaxOperations = capacity })
	id := uint64(0)
	send := func(prefix string, n int) {
		zipf := rand.NewZipf(rand.New(rand.NewPCG(7, 7)), 1.05, 1, 1000)
		for range n {
			id++
			hash := fmt.Sprint(prefix, zipf.Uint64())
			table.Span(start, spanOf(id, hash, time.Millisecond))
			if table.operations[hash] != nil && table.operations[hash].text == "" {
				table.Text(start, Operation{Hash: hash}, "{ "+hash+" }")
			}
		}
	}
	send("old", 50_000)
	send("new", 100_000)
	hottest := table.Hottest(start, 10)
	for i, u := range hottest {
		if !strings.HasPrefix(u.Hash, "new") {
			t.Errorf("number %d of the snapshot is %s, which was popular before", i, u.Hash)
		}
		if i > 0 && u.Count > hottest[i-1].Count {
			t.Errorf("number %d was used more than the one before", i)
		}
	}
	if len(hottest) != 10 {
		t.Errorf("%d in the snapshot", len(hottest))
	}
	if got := len(table.Hottest(start, -1)) + len(table.Hottest(start, 1000)); got > capacity {
		t.Errorf("%d in the snapshot", got)
	}
}

func TestHeapKeepsItsOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	var h leastUsed
	for i := range 500 {
		o := &operation{hash: fmt.Sprint(i), count: uint32(r.IntN(50)), lastSeen: int64(r.IntN(50))}
		h.push(o)
	}
	for step := 0; len(h) > 0; step++ {
		for range 5 {
			o := h[r.IntN(len(h))]
			o.count += uint32(r.IntN(3))
			o.lastSeen += int64(r.IntN(3))
		}
		if step%50 == 49 {
			h.halve()
		}
		if step%7 == 6 {
			h.remove(h[r.IntN(len(h))])
			continue
		}
		least := h.top()
		for _, o := range h {
			if o.count < least.count || o.count == least.count && o.lastSeen < least.lastSeen {
				t.Fatalf("step %d: %d/%d is less than the top, %d/%d", step, o.count, o.lastSeen, least.count, least.lastSeen)
			}
		}
		h.remove(least)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	table := newTable(t, func(o *Options) {
		o.MaxOperations, o.MaxText, o.MaxHistograms = 300, 20_000, 100_000
	})
	r := rand.New(rand.NewPCG(5, 5))
	for i := range 30_000 {
		at := start.Add(time.Duration(i) * time.Minute)
		hash := fmt.Sprint(r.IntN(600))
		s := spanOf(uint64(i+1), hash, time.Duration(1+r.Int64N(1e10)))
		s.Op.Client.Version = fmt.Sprint(r.IntN(100))
		s.Document = strings.Repeat("x", 1+r.IntN(500))
		table.Span(at, s)
		p := explicitPoint([]float64{float64(r.IntN(5000))})
		p.Op.Hash, p.Instance, p.Temporality, p.Time = hash, fmt.Sprint(r.IntN(1000)), Delta, uint64(i+1)
		table.Point(at, p)
	}
	s := table.Stats()
	if s.Operations > 300 || s.TextBytes > 20_000 || s.HistogramBytes > 100_000 || s.Evicted == 0 || s.TextsDropped == 0 {
		t.Errorf("%+v", s)
	}
	checkAccounts(t, table)
}

// checkAccounts compares what the table accounts with what it has.
func checkAccounts(t *testing.T, table *Table) {
	t.Helper()
	text, histograms := 0, 0
	for _, o := range table.operations {
		text += len(o.text)
		histograms += o.seriesSize()
	}
	if text != table.textBytes || histograms != table.histBytes || len(table.leastUsed) != len(table.operations) {
		t.Errorf("accounted %d bytes of text and %d of histograms in %d operations, they are %d, %d, %d",
			table.textBytes, table.histBytes, len(table.leastUsed), text, histograms, len(table.operations))
	}
}

func TestGroupsAreCollected(t *testing.T) {
	table := newTable(t, nil)
	deploy := func(at time.Time, name string) {
		for i := range maxGroups {
			p := explicitPoint([]float64{1})
			p.Op.Hash, p.Instance, p.Temporality, p.Time = fmt.Sprint(i%50), fmt.Sprint(name, i), Delta, 1
			table.Point(at, p)
		}
	}
	deploy(start, "a")
	if got := table.Stats().SeriesRefused; got != 0 {
		t.Fatalf("%d refused", got)
	}
	deploy(start.Add(time.Hour), "b")
	if got := table.Stats().SeriesRefused; got != maxGroups {
		t.Errorf("%d refused, want all of the second deploy", got)
	}
	deploy(start.Add(20*24*time.Hour), "c")
	if got := table.Stats().SeriesRefused; got != maxGroups {
		t.Errorf("%d refused: the window has room again", got)
	}
	checkAccounts(t, table)
}
