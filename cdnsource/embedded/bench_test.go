package embedded_test

import (
	"fmt"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/cdnsource/embedded"
)

// BenchmarkStart is what a command pays for a bucket of its own.
func BenchmarkStart(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := embedded.Start(b.Context(), embedded.Options{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPush is one acknowledged push: read, write with a condition, synced to disk.
func BenchmarkPush(b *testing.B) {
	s, err := embedded.Start(b.Context(), embedded.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	store, err := cdnsource.NewStore(cdnsource.Options{Bucket: s.Bucket()})
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if _, err := store.UpdatePins(b.Context(), graph, bucketsuite.Pin(fmt.Sprintf("P%d", i))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFetchUnchanged is what a warmer asks at every poll.
func BenchmarkFetchUnchanged(b *testing.B) {
	s, err := embedded.Start(b.Context(), embedded.Options{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	store, err := cdnsource.NewStore(cdnsource.Options{Bucket: s.Bucket()})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := store.Publish(b.Context(), graph, bucketsuite.Manifest(graph, "A")); err != nil {
		b.Fatal(err)
	}
	_, known, err := store.Fetch(b.Context(), graph)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := store.FetchIfChanged(b.Context(), graph, known); err == nil {
			b.Fatal("what did not change was fetched")
		}
	}
}
