package otlp

import (
	"fmt"
	"math"
	"sync"

	"github.com/planwarm/planwarm/telemetry"
)

// decoder is the scratch space of one decoding.
type decoder struct {
	res   Result
	spent int // of maxItems
	scope string

	resource Attributes
	span     Span
	point    HistogramPoint
	exp      telemetry.Exponential
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// release forgets the body: a pooled decoder must not keep it in memory.
func (d *decoder) release() {
	clear(d.resource[:cap(d.resource)])
	clear(d.span.Attributes[:cap(d.span.Attributes)])
	clear(d.point.Attributes[:cap(d.point.Attributes)])
	*d = decoder{
		resource: d.resource[:0],
		span:     Span{Attributes: d.span.Attributes[:0]},
		point: HistogramPoint{
			Attributes: d.point.Attributes[:0],
			Bounds:     d.point.Bounds[:0],
			Counts:     d.point.Counts[:0],
		},
		exp: telemetry.Exponential{Counts: d.exp.Counts[:0]},
	}
	decoders.Put(d)
}

// spend counts a part of the body against maxItems.
func (d *decoder) spend() bool {
	d.spent++
	return d.spent <= maxItems
}

// DecodeTraces reads an ExportTraceServiceRequest. A part that is malformed
// in itself is left out and counted in the Result; the error says that the
// body as a whole is not what it claims to be, and what was read of it before
// has been visited.
func DecodeTraces(body []byte, enc Encoding, v TraceVisitor) (Result, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	var err error
	if enc == JSON {
		err = d.jsonTraces(body, v)
	} else {
		err = d.protoTraces(body, v)
	}
	if err != nil {
		err = fmt.Errorf("decode traces: %w", err)
	}
	return d.res, err
}

// DecodeMetrics reads an ExportMetricsServiceRequest, of which only
// histograms count. Errors are as in DecodeTraces.
func DecodeMetrics(body []byte, enc Encoding, v MetricVisitor) (Result, error) {
	d := decoders.Get().(*decoder)
	defer d.release()
	var err error
	if enc == JSON {
		err = d.jsonMetrics(body, v)
	} else {
		err = d.protoMetrics(body, v)
	}
	if err != nil {
		err = fmt.Errorf("decode metrics: %w", err)
	}
	return d.res, err
}

// emitSpan visits the span in scratch.
func (d *decoder) emitSpan(v TraceVisitor) {
	err := v.Span(&d.span)
	if err != nil {
		d.res.reject(err)
		return
	}
	d.res.Items++
}

// resetPoint makes the scratch point ready for the next one of its metric.
func (d *decoder) resetPoint() {
	p := &d.point
	p.Start, p.Time, p.Count, p.Sum = 0, 0, 0, 0
	p.Min, p.Max = math.NaN(), math.NaN()
	p.Bounds, p.Counts, p.Attributes = p.Bounds[:0], p.Counts[:0], p.Attributes[:0]
	p.Exponential = nil
	d.exp = telemetry.Exponential{Counts: d.exp.Counts[:0]}
}

// noRecordedValue is the flag of a point that only says that its series ended.
const noRecordedValue = 1

// emitPoint visits the point in scratch when it is sound.
func (d *decoder) emitPoint(v MetricVisitor, flags uint64) {
	if flags&noRecordedValue != 0 {
		d.res.Items++
		return
	}
	err := checkPoint(&d.point)
	if err == nil {
		err = v.Point(&d.point)
	}
	if err != nil {
		d.res.reject(err)
		return
	}
	d.res.Items++
}

// checkPoint holds a point to what OTLP says of it, since whoever adds such
// points up relies on it.
func checkPoint(p *HistogramPoint) error {
	if p.Temporality != telemetry.Delta && p.Temporality != telemetry.Cumulative {
		return fmt.Errorf("%w: histogram without temporality", ErrMalformed)
	}
	if math.IsNaN(p.Sum) || math.IsInf(p.Sum, 0) || math.IsInf(p.Min, 0) || math.IsInf(p.Max, 0) {
		return fmt.Errorf("%w: histogram point with a sum, min or max that is not finite", ErrMalformed)
	}
	if p.Count > maxCount {
		return fmt.Errorf("%w: histogram point with a count beyond reason", ErrMalformed)
	}
	if e := p.Exponential; e != nil {
		if e.Scale < -10 || e.Scale > 20 {
			return fmt.Errorf("%w: exponential histogram of an unknown scale", ErrMalformed)
		}
		return checkCounts(p.Count, e.ZeroCount, e.Counts)
	}
	if len(p.Counts) == 0 && len(p.Bounds) == 0 {
		// Only count and sum were kept: one bucket for everything.
		p.Counts = append(p.Counts, p.Count)
		return nil
	}
	if len(p.Counts) != len(p.Bounds)+1 {
		return fmt.Errorf("%w: histogram point whose buckets and bounds do not match", ErrMalformed)
	}
	for i, b := range p.Bounds {
		if math.IsNaN(b) || math.IsInf(b, 0) || i > 0 && b <= p.Bounds[i-1] {
			return fmt.Errorf("%w: histogram bounds that do not rise", ErrMalformed)
		}
	}
	return checkCounts(p.Count, 0, p.Counts)
}

func checkCounts(count, zero uint64, counts []uint64) error {
	left := count
	for _, c := range counts {
		if c > left {
			return fmt.Errorf("%w: histogram point with more in its buckets than it counts", ErrMalformed)
		}
		left -= c
	}
	if left != zero {
		return fmt.Errorf("%w: histogram point whose buckets do not add up to its count", ErrMalformed)
	}
	return nil
}
