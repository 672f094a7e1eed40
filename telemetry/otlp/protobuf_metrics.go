package otlp

import (
	"fmt"
	"math"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/planwarm/planwarm/telemetry"
)

func (d *decoder) protoMetrics(body []byte, v MetricVisitor) error {
	return d.protoResources(body, v.Resource, func(scope []byte) {
		if err := eachMessage(scope, 2, func(m []byte) {
			if err := d.protoMetric(m, v); err != nil {
				d.res.reject(err)
			}
		}); err != nil {
			d.res.reject(err)
		}
	})
}

// protoMetric reads a metric's name and finds its data, which it enters only
// if the name is wanted and the data a histogram.
func (d *decoder) protoMetric(b []byte, v MetricVisitor) (err error) {
	if !d.spend() {
		return ErrTooMany
	}
	var fc easyproto.FieldContext
	var data []byte
	var exponential bool
	p := &d.point
	p.Metric, p.Unit = "", ""
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return errWire
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			p.Metric, ok = fc.String()
		case 3:
			p.Unit, ok = fc.String()
		case 9, 10:
			exponential = fc.FieldNum == 10
			data, ok = fc.MessageData()
		case 5, 7, 11:
			data = nil // the last member of the oneof counts
		}
		if !ok {
			return errWire
		}
	}
	if data == nil || !v.WantMetric(p.Metric) {
		return nil
	}
	if p.Temporality, err = protoTemporality(data); err != nil {
		return err
	}
	return eachMessage(data, 1, func(point []byte) {
		if !d.spend() {
			d.res.reject(ErrTooMany)
			return
		}
		d.resetPoint()
		read := d.protoExplicit
		if exponential {
			read = d.protoExponential
		}
		flags, err := read(point)
		if err != nil {
			d.res.reject(err)
			return
		}
		d.emitPoint(v, flags)
	})
}

// protoTemporality finds the temporality, which stands behind the points.
func protoTemporality(data []byte) (t telemetry.Temporality, err error) {
	var fc easyproto.FieldContext
	for len(data) > 0 {
		if data, err = fc.NextField(data); err != nil {
			return 0, errWire
		}
		if fc.FieldNum != 2 {
			continue
		}
		u, ok := fc.Uint64()
		if !ok {
			return 0, errWire
		}
		t = telemetry.Temporality(min(u, math.MaxUint8))
	}
	return t, nil
}

func (d *decoder) protoExplicit(b []byte) (flags uint64, err error) {
	p := &d.point
	var fc easyproto.FieldContext
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return 0, errWire
		}
		ok := true
		switch fc.FieldNum {
		case 2:
			p.Start, ok = fc.Fixed64()
		case 3:
			p.Time, ok = fc.Fixed64()
		case 4:
			p.Count, ok = fc.Fixed64()
		case 5:
			p.Sum, ok = double(&fc)
		case 6:
			if tooManyBuckets(&fc, len(p.Counts)) {
				return 0, fmt.Errorf("%w: buckets", ErrTooMany)
			}
			p.Counts, ok = fc.UnpackFixed64s(p.Counts)
		case 7:
			if tooManyBuckets(&fc, len(p.Bounds)) {
				return 0, fmt.Errorf("%w: buckets", ErrTooMany)
			}
			p.Bounds, ok = fc.UnpackDoubles(p.Bounds)
		case 9:
			if err = protoAttribute(&fc, &p.Attributes); err != nil {
				return 0, err
			}
		case 10:
			flags, ok = fc.Uint64()
		case 11:
			p.Min, ok = double(&fc)
		case 12:
			p.Max, ok = double(&fc)
		}
		if !ok {
			return 0, errWire
		}
	}
	return flags, nil
}

func (d *decoder) protoExponential(b []byte) (flags uint64, err error) {
	p := &d.point
	p.Exponential = &d.exp
	var fc easyproto.FieldContext
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return 0, errWire
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			if err = protoAttribute(&fc, &p.Attributes); err != nil {
				return 0, err
			}
		case 2:
			p.Start, ok = fc.Fixed64()
		case 3:
			p.Time, ok = fc.Fixed64()
		case 4:
			p.Count, ok = fc.Fixed64()
		case 5:
			p.Sum, ok = double(&fc)
		case 6:
			d.exp.Scale, ok = fc.Sint32()
		case 7:
			d.exp.ZeroCount, ok = fc.Fixed64()
		case 8:
			var m []byte
			if m, ok = fc.MessageData(); ok {
				if err = d.protoBuckets(m); err != nil {
					return 0, err
				}
			}
		case 10:
			flags, ok = fc.Uint64()
		case 12:
			p.Min, ok = double(&fc)
		case 13:
			p.Max, ok = double(&fc)
		}
		if !ok {
			return 0, errWire
		}
	}
	return flags, nil
}

// protoBuckets reads the positive buckets. A planning time is never negative,
// and a point with negative buckets fails by its count.
func (d *decoder) protoBuckets(b []byte) (err error) {
	var fc easyproto.FieldContext
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return errWire
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			d.exp.Offset, ok = fc.Sint32()
		case 2:
			if tooManyBuckets(&fc, len(d.exp.Counts)) {
				return fmt.Errorf("%w: buckets", ErrTooMany)
			}
			d.exp.Counts, ok = fc.UnpackUint64s(d.exp.Counts)
		}
		if !ok {
			return errWire
		}
	}
	return nil
}

// tooManyBuckets tells before anything is allocated for them whether a
// repeated field, packed or not, would exceed maxBuckets.
func tooManyBuckets(fc *easyproto.FieldContext, have int) bool {
	packed, _ := fc.MessageData()
	return have >= maxBuckets || len(packed) > 8*maxBuckets
}
