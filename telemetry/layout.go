package telemetry

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// layoutID names what the indices of a histogram's bins mean. 0 is base
// 2^(1/32); 1 to 15 are the exponential scales 4 to -10; from firstExplicit on
// they are sets of explicit bounds. Each is kept apart: no re-bucketing mends
// a coarse histogram, so they meet only when a quantile is read.
type layoutID uint16

const (
	fine          layoutID = 0
	minScale               = -10
	firstExplicit layoutID = fineScale - minScale + 1

	maxBounds   = 1024 // bounds of one explicit histogram
	maxBuckets  = 4096 // buckets of one exponential histogram
	maxExplicit = 256  // distinct sets of explicit bounds
)

// scaleLayout returns the layout of an exponential scale; what is finer than
// base 2^(1/32) is kept in base 2^(1/32).
func scaleLayout(scale int32) layoutID {
	return layoutID(fineScale - min(scale, fineScale))
}

func (l layoutID) explicit() bool { return l >= firstExplicit }

// scale is the exponential scale of a layout that is not explicit.
func (l layoutID) scale() int { return fineScale - int(l) }

// layouts interns sets of explicit bounds.
type layouts struct {
	bounds [][]float64
	ids    map[uint64]layoutID
	recent int // index of the last that was asked for: points of one metric share theirs
}

var errBounds = errors.New("bounds are not ascending, or too many")

func hashBounds(bounds []float64) uint64 {
	var d xxhash.Digest
	d.Reset()
	var b [8]byte
	for _, v := range bounds {
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
		_, _ = d.Write(b[:]) // a Digest never fails
	}
	return d.Sum64()
}

// of returns the layout of explicit bounds, which it copies when they are new.
func (l *layouts) of(bounds []float64) (layoutID, error) {
	if l.recent < len(l.bounds) && slices.Equal(l.bounds[l.recent], bounds) {
		return firstExplicit + layoutID(l.recent), nil
	}
	h := hashBounds(bounds)
	if id, ok := l.ids[h]; ok && slices.Equal(l.bounds[id-firstExplicit], bounds) {
		l.recent = int(id - firstExplicit)
		return id, nil
	}
	if len(bounds) > maxBounds || len(l.bounds) >= maxExplicit {
		return 0, errBounds
	}
	for i, v := range bounds {
		if math.IsNaN(v) || math.IsInf(v, 0) || i > 0 && v <= bounds[i-1] {
			return 0, errBounds
		}
	}
	return l.add(h, slices.Clone(bounds)), nil
}

func (l *layouts) add(hash uint64, bounds []float64) layoutID {
	if l.ids == nil {
		l.ids = make(map[uint64]layoutID)
	}
	id := firstExplicit + layoutID(len(l.bounds))
	l.bounds = append(l.bounds, bounds)
	l.ids[hash] = id
	return id
}

// known reports whether id is in use, and whether index is a bucket of it.
func (l *layouts) known(id layoutID, index int16) bool {
	if id.explicit() {
		n := int(id - firstExplicit)
		return n < len(l.bounds) && index >= 0 && int(index) <= len(l.bounds[n])
	}
	return index == zeroIndex || index == clampIndex(int64(index), id.scale())
}

// bucket returns the bounds of a bucket. A planning time is never negative, so
// neither is a bound; the last explicit bucket has no upper bound.
func (l *layouts) bucket(id layoutID, index int16) (lower, upper float64) {
	if !id.explicit() {
		return exponentialBounds(index, id.scale())
	}
	bounds := l.bounds[id-firstExplicit]
	if index > 0 {
		lower = max(bounds[index-1], 0)
	}
	if int(index) >= len(bounds) {
		return lower, math.Inf(1)
	}
	return lower, max(bounds[index], 0)
}
