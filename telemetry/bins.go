package telemetry

import (
	"math"
	"slices"
)

// bin is one bucket of a sparse histogram and how many samples fell into it:
// eight bytes, with a count of 48 bits.
type bin struct {
	index int16
	hi    uint16
	lo    uint32
}

// maxBin is the largest count that a bin holds; it saturates there.
const maxBin = 1<<48 - 1

// binBytes is what a bin costs in memory.
const binBytes = 8

func newBin(index int16, n uint64) bin {
	n = min(n, maxBin)
	return bin{index: index, hi: uint16(n >> 32), lo: uint32(n)}
}

func (b bin) n() uint64 { return uint64(b.hi)<<32 | uint64(b.lo) }

// bins is a sparse histogram: sorted by index, each index once, no empty bin.
type bins []bin

func compareBin(b bin, index int16) int { return int(b.index) - int(index) }

// add counts n samples at index. It grows by a few bins at a time: most
// histograms have a handful of them and there are very many histograms.
func (b bins) add(index int16, n uint64) bins {
	if n == 0 {
		return b
	}
	at, found := slices.BinarySearchFunc(b, index, compareBin)
	if found {
		b[at] = newBin(index, b[at].n()+n)
		return b
	}
	if len(b) == cap(b) {
		grown := make(bins, len(b), len(b)+1+len(b)/4)
		copy(grown, b)
		b = grown
	}
	return slices.Insert(b, at, newBin(index, n))
}

// merge adds every bin of other.
func (b bins) merge(other bins) bins {
	if len(b) == 0 && len(other) > 0 {
		return slices.Clone(other)
	}
	for _, o := range other {
		b = b.add(o.index, o.n())
	}
	return b
}

// total is the number of samples.
func (b bins) total() uint64 {
	var n uint64
	for _, c := range b {
		n += c.n()
	}
	return n
}

// subtract returns what b has more than old, and false when old has more
// somewhere: then b is not a continuation of old.
func (b bins) subtract(old bins, into bins) (bins, bool) {
	into = into[:0]
	j := 0
	for _, c := range b {
		if j < len(old) && old[j].index < c.index {
			return into, false
		}
		n := c.n()
		if j < len(old) && old[j].index == c.index {
			if old[j].n() > n {
				return into, false
			}
			n -= old[j].n()
			j++
		}
		if n > 0 {
			into = append(into, newBin(c.index, n))
		}
	}
	return into, j == len(old)
}

// coarsen halves the resolution of exponential bins shift times. The zero
// bucket stays.
func (b bins) coarsen(shift uint) bins {
	if shift == 0 {
		return b
	}
	out := make(bins, 0, len(b))
	for _, c := range b {
		if c.index != zeroIndex {
			c.index >>= shift
		}
		if last := len(out) - 1; last >= 0 && out[last].index == c.index {
			out[last] = newBin(c.index, out[last].n()+c.n())
			continue
		}
		out = append(out, c)
	}
	return out
}

const (
	// zeroIndex is the bin of samples that are zero.
	zeroIndex int16 = math.MinInt16
	// fineScale is the resolution that spans are kept in: base 2^(1/32), the
	// buckets of an OTLP exponential histogram of this scale.
	fineScale = 5
	// Times beyond 2^±maxExponent milliseconds go into the outermost bucket.
	maxExponent = 63
	minFine     = -maxExponent << fineScale
	maxFine     = maxExponent<<fineScale - 1
)

// fineIndex returns the bucket of base 2^(1/32) that ms falls into; the upper
// bound belongs to the bucket, as in OTLP.
func fineIndex(ms float64) int16 {
	if !(ms > 0) {
		return zeroIndex
	}
	return clampIndex(int64(math.Ceil(math.Log2(ms)*(1<<fineScale)))-1, fineScale)
}

// clampIndex bounds an exponential bucket's index at scale.
func clampIndex(index int64, scale int) int16 {
	lowest, highest := int64(minFine), int64(maxFine)
	if scale < fineScale {
		lowest, highest = lowest>>(fineScale-scale), highest>>(fineScale-scale)
	}
	return int16(min(max(index, lowest), highest))
}

// exponentialBounds returns the bounds of an exponential bucket.
func exponentialBounds(index int16, scale int) (lower, upper float64) {
	if index == zeroIndex {
		return 0, 0
	}
	return math.Exp2(math.Ldexp(float64(index), -scale)), math.Exp2(math.Ldexp(float64(index)+1, -scale))
}

// middle returns the value that stands for a fine bucket: the geometric
// middle, at most 2^(1/64)-1 = 1.089 % from anything inside.
func middle(index int16) float64 {
	if index == zeroIndex {
		return 0
	}
	return math.Exp2(math.Ldexp(float64(index)+0.5, -fineScale))
}
