package telemetry

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// maxCount bounds the executions that one point or request may tell.
const maxCount = 1 << 40

var errPoint = errors.New("counts and buckets of the point do not agree")

// Point counts one histogram point.
func (t *Table) Point(at time.Time, p Point) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Points++
	if p.Op.Hash == "" || len(p.Op.Hash) > maxHash {
		t.stats.Malformed++
		return
	}
	h, err := t.histogramOf(&p)
	if err != nil {
		t.stats.Malformed++
		return
	}
	switch p.Temporality {
	case Delta:
		if p.Count == 0 {
			return
		}
		// Without a time of its own a point has no identity, and counts.
		if p.Time != 0 && !t.points.add(at, p.identity(p.Time)) {
			t.stats.DuplicatePoints++
			return
		}
		t.point(at, &p, p.Count, h)
	case Cumulative:
		t.cumulative(at, &p, h)
	default:
		t.stats.Malformed++
	}
}

// point counts executions and, for misses, samples; it reports whether the
// operation was admitted.
func (t *Table) point(at time.Time, p *Point, executions uint64, h *histogram) bool {
	if t.own(p.Op.Client) {
		if h != nil {
			t.refresh(at, p.Op.Hash, h.sum/int64(executions))
		}
		return true
	}
	group, ok := t.group(at, groupKey{p.Instance, p.Transport, p.Temporality})
	if !ok {
		t.stats.SeriesRefused++
		return false
	}
	o := t.access(at, &p.Op, executions)
	return o != nil && t.count(at, o, group, p.Op.Client, executions, h)
}

// identity is the digest of the point's stream and, as the case may be, the
// time that tells it from the stream's other points.
func (p *Point) identity(at uint64) uint64 {
	var d xxhash.Digest
	d.Reset()
	var fixed [8 * 6]byte
	for i, v := range [...]uint64{uint64(len(p.Instance)), uint64(len(p.Transport)), uint64(p.Temporality), p.Stream, p.Start, at} {
		binary.LittleEndian.PutUint64(fixed[i*8:], v)
	}
	_, _ = d.Write(fixed[:]) // a Digest never fails
	_, _ = d.WriteString(p.Instance)
	_, _ = d.WriteString(p.Transport)
	_, _ = d.WriteString(p.Op.Hash)
	if p.Hit {
		_, _ = d.Write([]byte{1})
	}
	return d.Sum64()
}

// histogramOf returns the samples of a point, nil for a hit. They are good
// until the next event.
func (t *Table) histogramOf(p *Point) (*histogram, error) {
	if p.Count > maxCount {
		return nil, errPoint
	}
	if p.Hit || p.Count == 0 {
		return nil, nil
	}
	h := &t.scratch
	*h = histogram{bins: h.bins[:0], sum: nanoseconds(p.Sum), min: math.NaN(), max: math.NaN()}
	var err error
	if p.Exponential != nil {
		err = p.Exponential.bucket(h)
	} else {
		err = t.layouts.bucketExplicit(p, h)
	}
	if err != nil {
		return nil, err
	}
	if h.bins.total() != p.Count {
		return nil, errPoint
	}
	if p.Min >= 0 && p.Min <= p.Max && !math.IsInf(p.Max, 1) {
		h.min, h.max = p.Min, p.Max
	}
	if math.IsNaN(p.Sum) {
		return nil, errPoint
	}
	h.fillExtremes(&t.layouts)
	return h, nil
}

// bucketExplicit fills h from a point with explicit bounds. A point without
// buckets has one, without bounds.
func (l *layouts) bucketExplicit(p *Point, h *histogram) (err error) {
	if len(p.Counts) == 0 && len(p.Bounds) == 0 {
		h.layout, err = l.of(nil)
		h.bins = append(h.bins, newBin(0, p.Count))
		return err
	}
	if len(p.Counts) != len(p.Bounds)+1 {
		return errPoint
	}
	if h.layout, err = l.of(p.Bounds); err != nil {
		return err
	}
	var total uint64
	for i, n := range p.Counts {
		if n > maxCount {
			return errPoint
		}
		if n > 0 {
			h.bins = append(h.bins, newBin(int16(i), n))
			total += n
		}
	}
	return nil
}

// bucket fills h. What is finer than base 2^(1/32) is downscaled, which is
// exact: finer buckets nest in coarser ones.
func (e *Exponential) bucket(h *histogram) error {
	if e.Scale < minScale || e.Scale > 20 || len(e.Counts) > maxBuckets || e.ZeroCount > maxCount {
		return errPoint
	}
	h.layout = scaleLayout(e.Scale)
	if e.ZeroCount > 0 {
		h.bins = append(h.bins, newBin(zeroIndex, e.ZeroCount))
	}
	shift := max(int(e.Scale)-fineScale, 0)
	for i, n := range e.Counts {
		if n > maxCount {
			return errPoint
		}
		if n == 0 {
			continue
		}
		index := clampIndex((int64(e.Offset)+int64(i))>>shift, h.layout.scale())
		if last := len(h.bins) - 1; last >= 0 && h.bins[last].index == index {
			h.bins[last] = newBin(index, h.bins[last].n()+n)
			continue
		}
		h.bins = append(h.bins, newBin(index, n))
	}
	return nil
}

// clone copies the bins out of scratch memory.
func (h *histogram) clone() histogram {
	c := *h
	c.bins = slices.Clone(h.bins)
	return c
}
