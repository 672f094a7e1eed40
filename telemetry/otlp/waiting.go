package otlp

import "github.com/hashicorp/golang-lru/v2/simplelru"

// waiting keeps one part of something until its other part comes. What nobody
// fetches falls out, oldest first. It is not safe for concurrent use.
type waiting[K comparable, V any] struct {
	parts    *simplelru.LRU[K, V]
	size     func(V) int
	bytes    int
	maxBytes int
}

// newWaiting returns a buffer of at most n parts and, by the sizes that size
// tells, joinBytes.
func newWaiting[K comparable, V any](n int, size func(V) int) *waiting[K, V] {
	w := &waiting[K, V]{size: size, maxBytes: joinBytes}
	// The constructor fails for a size that is not positive only.
	w.parts, _ = simplelru.NewLRU(max(n, 1), func(_ K, v V) { w.bytes -= size(v) })
	return w
}

// put keeps v under key, in the place of what was there.
func (w *waiting[K, V]) put(key K, v V) {
	w.parts.Remove(key) // or its bytes would be counted for ever: Add replaces in silence
	w.parts.Add(key, v)
	w.bytes += w.size(v)
	for w.bytes > w.maxBytes {
		w.parts.RemoveOldest()
	}
}

// take gives what waits under key and forgets it.
func (w *waiting[K, V]) take(key K) (V, bool) {
	v, ok := w.parts.Get(key)
	w.parts.Remove(key)
	return v, ok
}

// peek gives what waits under key.
func (w *waiting[K, V]) peek(key K) (V, bool) { return w.parts.Get(key) }

// noBytes is the size of parts that are small and all alike.
func noBytes[V any](V) int { return 0 }
