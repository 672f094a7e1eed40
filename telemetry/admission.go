package telemetry

import "math/rand/v2"

// frequencies estimates how often each operation was seen, admitted or not, in
// constant memory: a count-min sketch of 4 rows of 8-bit counters, halved as
// it fills so that it follows what is asked now. An operation gets into a full
// table only when its estimate is above the count of the least used one
// (TinyLFU), so a flood of operations that are never repeated displaces nothing.
type frequencies struct {
	rows    [4][]uint8
	mask    uint64
	seed    uint64 // keeps collisions from being computed outside
	added   uint64
	maximum uint64 // added, before the counters are halved
}

// counters for each slot of the table.
const countersPerOperation = 8

func newFrequencies(operations int) *frequencies {
	width := 1
	for width < operations*countersPerOperation {
		width <<= 1
	}
	f := &frequencies{mask: uint64(width - 1), seed: rand.Uint64(), maximum: 10 * uint64(width)}
	for i := range f.rows {
		f.rows[i] = make([]uint8, width)
	}
	return f
}

// mix spreads a hash over 64 bits (the finalizer of murmur3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// add counts n accesses of key and returns the estimate.
func (f *frequencies) add(key, n uint64) uint32 {
	step := uint8(min(n, 255))
	h := mix(key ^ f.seed)
	second := h>>32 | 1
	estimate := uint8(255)
	for i := range f.rows {
		counter := &f.rows[i][(h+uint64(i)*second)&f.mask]
		*counter += min(step, 255-*counter)
		estimate = min(estimate, *counter)
	}
	if f.added += uint64(step); f.added >= f.maximum {
		f.halve()
	}
	return uint32(estimate)
}

func (f *frequencies) halve() {
	f.added /= 2
	for _, row := range f.rows {
		for i := range row {
			row[i] >>= 1
		}
	}
}
