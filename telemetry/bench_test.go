package telemetry

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"
)

// largeTable holds operations with samples over 7 days, Zipf.
func largeTable(b *testing.B, operations, samples int) *Table {
	b.Helper()
	table := newTable(b, func(o *Options) { o.MaxOperations, o.MaxIdentities, o.MaxHistograms = operations, 1<<10, 1<<30 })
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.05, 1, uint64(operations-1))
	hashes := make([]string, operations)
	id := uint64(0)
	send := func(at time.Time, n uint64) {
		id++
		s := spanOf(id, hashes[n], time.Duration(2e7*math.Exp(0.7*r.NormFloat64())))
		table.Span(at, s)
	}
	for i := range hashes {
		hashes[i] = fmt.Sprint(mix(uint64(i + 1)))
		send(start, uint64(i))
	}
	for i := range samples {
		send(start.Add(time.Duration(i)*DefaultWindow/time.Duration(samples)), zipf.Uint64())
	}
	return table
}

// BenchmarkSpan is the ingest of one planning span into a table of the default
// size that has a day behind it.
func BenchmarkSpan(b *testing.B) {
	table := largeTable(b, DefaultMaxOperations, 200_000)
	zipf := rand.NewZipf(rand.New(rand.NewPCG(2, 2)), 1.05, 1, DefaultMaxOperations-1)
	spans := make([]Span, 1<<16)
	for i := range spans {
		spans[i] = spanOf(1<<40+uint64(i), fmt.Sprint(mix(zipf.Uint64()+1)), time.Duration(i+1)*time.Microsecond)
	}
	now := start.Add(DefaultWindow)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s := &spans[i&(1<<16-1)]
		s.TraceID[15], s.TraceID[14], s.TraceID[13] = byte(i>>16), byte(i>>24), 1
		table.Span(now.Add(time.Duration(i)*time.Microsecond), *s)
	}
}

// BenchmarkSpanParallel is the same from all cores: what the lock costs.
func BenchmarkSpanParallel(b *testing.B) {
	table := largeTable(b, DefaultMaxOperations, 200_000)
	hashes := make([]string, DefaultMaxOperations)
	for i := range hashes {
		hashes[i] = fmt.Sprint(mix(uint64(i + 1)))
	}
	now := start.Add(DefaultWindow)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		r := rand.New(rand.NewPCG(rand.Uint64(), 2))
		zipf := rand.NewZipf(r, 1.05, 1, DefaultMaxOperations-1)
		for pb.Next() {
			table.Span(now, spanOf(r.Uint64(), hashes[zipf.Uint64()], time.Duration(r.IntN(1e8))))
		}
	})
}

func benchmarkPoint(b *testing.B, temporality Temporality) {
	table := newTable(b, nil)
	bounds := []float64{0, 5, 7, 10, 15, 25, 50, 75, 100, 125, 150, 175, 200, 225, 250, 275, 300, 350, 400, 450, 500, 600, 700, 800, 900, 1000, 10000}
	points := make([]Point, 2000)
	for i := range points {
		points[i] = Point{Instance: "router-1", Transport: "http", Temporality: temporality, Stream: uint64(i), Start: 1,
			Op: Operation{Hash: fmt.Sprint(mix(uint64(i % 500))), Name: "Op", Client: Client{Name: "web", Version: fmt.Sprint(i % 4)}}, Bounds: bounds, Counts: make([]uint64, len(bounds)+1)}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		p := &points[i%len(points)]
		if temporality == Delta {
			p.Count, p.Sum, p.Min, p.Max = 0, 0, 20, 60
			clear(p.Counts)
		}
		p.Time = uint64(i + 2)
		p.Counts[5]++
		p.Counts[7] += 2
		p.Count += 3
		p.Sum += 140
		p.Min, p.Max = 20, 60
		table.Point(start.Add(time.Duration(i)*time.Millisecond), *p)
	}
}

func BenchmarkDeltaPoint(b *testing.B)      { benchmarkPoint(b, Delta) }
func BenchmarkCumulativePoint(b *testing.B) { benchmarkPoint(b, Cumulative) }

// BenchmarkFlood is one access of an operation that never comes again.
func BenchmarkFlood(b *testing.B) {
	table := newTable(b, func(o *Options) { o.MaxOperations = 1000 })
	for i := range uint64(5000) {
		table.Span(start, spanOf(i+1, fmt.Sprint(i%1000), time.Millisecond))
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		table.Span(start, spanOf(1<<40+uint64(i), fmt.Sprint("flood", i), time.Millisecond))
	}
}

// BenchmarkUsages is the P90 of 100,000 operations over 7 days.
func BenchmarkUsages(b *testing.B) {
	table := largeTable(b, 100_000, 2_000_000)
	for b.Loop() {
		if got := len(table.Usages(start.Add(DefaultWindow), DefaultWindow)); got != 100_000 {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(table.Stats().HistogramBytes)/100_000, "histogram-B/operation")
}

// BenchmarkMemory reports the heap of one operation with a text of 600 bytes.
func BenchmarkMemory(b *testing.B) {
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	for range b.N {
		before := heap()
		table := largeTable(b, DefaultMaxOperations, 1_000_000)
		for hash := range table.operations {
			table.Text(start, Operation{Hash: hash}, strings.Repeat(hash, 600/len(hash)))
		}
		b.ReportMetric((heap()-before)/DefaultMaxOperations, "B/operation")
		runtime.KeepAlive(table)
	}
}

// BenchmarkCheckpoint writes and reads a table of the default size.
func BenchmarkCheckpoint(b *testing.B) {
	table := largeTable(b, DefaultMaxOperations, 1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		again := reread(b, table)
		runtime.KeepAlive(again)
	}
	n, err := table.WriteTo(discard{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/DefaultMaxOperations, "B/operation")
}
