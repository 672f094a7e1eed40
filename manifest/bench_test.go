package manifest

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func BenchmarkBuild(b *testing.B) {
	for _, rank := range []Rank{RankP90, RankSaved, RankBudget} {
		b.Run(string(rank), func(b *testing.B) {
			in := testInput(manyCandidates(100_000, rand.New(rand.NewPCG(1, 1)))...)
			in.Settings.MaxOperations = 1000
			in.Settings.Rank = rank
			in.Settings.MinExecutions = 1
			previous := mustBuild(b, in).Manifest
			in.Previous = &previous
			b.ReportAllocs()
			for b.Loop() {
				r, err := Build(in)
				if err != nil || len(r.Manifest.Operations) == 0 {
					b.Fatal(err)
				}
			}
		})
	}
}

// largeManifest has n operations of 600 bytes of text.
func largeManifest(n int) Manifest {
	m := Manifest{Format: Format, Graph: testGraph, GeneratedAt: testNow}
	for i := range n {
		e := seen(strconv.Itoa(i), float64(n-i), 100).Entry
		e.Request.Query += strings.Repeat("\n# field", 75)
		m.Operations = append(m.Operations, e)
	}
	return m
}

func BenchmarkEncode(b *testing.B) {
	m := largeManifest(MaxEntries)
	b.ReportAllocs()
	for b.Loop() {
		data, err := Encode(m)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
	}
}

func BenchmarkDecode(b *testing.B) {
	data, err := Encode(largeManifest(MaxEntries))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Decode(bytes.NewReader(data)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSameContent(b *testing.B) {
	m := largeManifest(MaxEntries)
	b.ReportAllocs()
	for b.Loop() {
		if !SameContent(m, m) {
			b.Fatal("a manifest differs from itself")
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	m := largeManifest(MaxEntries)
	b.ReportAllocs()
	for b.Loop() {
		Merge(m.Operations[:6000], m.Operations[4000:], 0)
	}
}
