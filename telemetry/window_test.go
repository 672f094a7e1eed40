package telemetry

import (
	"testing"
	"time"
)

func executionsOf(usages []Usage) uint64 {
	var n uint64
	for _, u := range usages {
		n += u.Executions
	}
	return n
}

func TestWindowEdges(t *testing.T) {
	for _, c := range []struct {
		window, in, out time.Duration
	}{
		// A sample leaves within an hour of a short window, within a day of a long one.
		{time.Hour, time.Hour, 2*time.Hour + time.Second},
		{6 * time.Hour, 6 * time.Hour, 7*time.Hour + time.Second},
		{24 * time.Hour, 24 * time.Hour, 25*time.Hour + time.Second},
		{48 * time.Hour, 48 * time.Hour, 72*time.Hour + time.Second},
		{168 * time.Hour, 168 * time.Hour, 192*time.Hour + time.Second},
	} {
		for offset := time.Duration(0); offset < 24*time.Hour; offset += 85 * time.Minute {
			sent := start.Add(offset)
			for _, own := range []bool{true, false} { // the table's window, or a shorter one of a read
				table := newTable(t, func(o *Options) {
					if own {
						o.Window = c.window
					}
				})
				table.Span(sent, spanOf(1, "7", time.Millisecond))
				// Another arrival makes the operation roll.
				table.Span(sent.Add(c.in), spanOf(2, "7", time.Millisecond))
				if got := executionsOf(table.Usages(sent.Add(c.in), c.window)); got != 2 {
					t.Errorf("window %s, sent %s: %d executions when it is %s old, want 2", c.window, sent, got, c.in)
				}
				table.Span(sent.Add(c.out), spanOf(3, "7", time.Millisecond))
				if got := executionsOf(table.Usages(sent.Add(c.out), c.window)); got > 2 {
					t.Errorf("window %s, sent %s: %d executions when it is %s old, want it gone", c.window, sent, got, c.out)
				}
			}
		}
	}
}

func TestShortWindowReadsLess(t *testing.T) {
	table := newTable(t, nil)
	for day := range 7 {
		table.Span(start.Add(time.Duration(day)*24*time.Hour), spanOf(uint64(day+1), "7", time.Duration(day+1)*time.Millisecond))
	}
	now := start.Add(6*24*time.Hour + time.Minute)
	for window, want := range map[time.Duration]uint64{time.Hour: 1, 24 * time.Hour: 2, 168 * time.Hour: 7, 9000 * time.Hour: 7} {
		u := usageOf(t, table.Usages(now, window), "7")
		if u.Executions != want || u.Samples != want {
			t.Errorf("window %s: %d executions, %d samples, want %d", window, u.Executions, u.Samples, want)
		}
	}
}

func TestSeriesStayFew(t *testing.T) {
	table := newTable(t, nil)
	for hour := range 24 * 30 {
		table.Span(start.Add(time.Duration(hour)*time.Hour), spanOf(uint64(hour+1), "7", time.Millisecond))
		if n := len(table.operations["7"].series); n > 33 {
			t.Fatalf("%d series after %d hours", n, hour)
		}
	}
	if got := table.operations["7"].bytes; got != table.operations["7"].seriesSize() || got != table.histBytes {
		t.Errorf("accounted %d bytes, they are %d", got, table.operations["7"].seriesSize())
	}
}

// A warm operation has no misses any more, and keeps its cost while it is used.
func TestCostOutlivesItsSamples(t *testing.T) {
	table := newTable(t, nil)
	table.Span(start, spanOf(1, "7", 40*time.Millisecond))
	at := start
	for day := range 30 {
		at = start.Add(time.Duration(day) * 24 * time.Hour)
		hit := spanOf(uint64(day+2), "7", time.Microsecond)
		hit.Hit = true
		table.Span(at, hit)
	}
	table = reread(t, table)
	u := usageOf(t, table.Usages(at, DefaultWindow), "7")
	if u.P90 != 40 || u.Samples != 1 || !u.MeasuredAt.Equal(start) || u.Executions > 9 {
		t.Errorf("got %+v", u)
	}
	// A new sample takes its place.
	table.Span(at, spanOf(100, "7", 20*time.Millisecond))
	if u := usageOf(t, table.Usages(at, DefaultWindow), "7"); u.Max != 20 || u.Samples != 1 {
		t.Errorf("got %+v", u)
	}
}

func TestIdleOperationIsNoUsage(t *testing.T) {
	table := newTable(t, nil)
	table.Span(start, spanOf(1, "7", time.Millisecond))
	table.Text(start, Operation{Hash: "7"}, "{ a }")
	later := start.Add(20 * 24 * time.Hour)
	if got := table.Usages(later, DefaultWindow); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	table.Span(later, spanOf(2, "8", time.Millisecond))
	if again := reread(t, table); again.Stats().Operations != 1 || again.Stats().TextBytes != 0 {
		t.Errorf("the checkpoint has what is idle: %+v", again.Stats())
	}
}
