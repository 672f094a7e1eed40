package otlp

import (
	"fmt"
	"math"
)

func (d *decoder) jsonMetrics(body []byte, v MetricVisitor) error {
	return d.jsonResources(body, "resourceMetrics", "scopeMetrics", v.Resource, func(scope []byte) {
		if err := eachMember(scope, func(key string, value []byte) error {
			if key != "metrics" {
				return nil
			}
			return eachElement(value, func(m []byte) error {
				if err := d.jsonMetric(m, v); err != nil {
					d.res.reject(err)
				}
				return nil
			})
		}); err != nil {
			d.res.reject(err)
		}
	})
}

func (d *decoder) jsonMetric(metric []byte, v MetricVisitor) error {
	if !d.spend() {
		return ErrTooMany
	}
	p := &d.point
	p.Metric, p.Unit, p.Temporality = "", "", 0
	var data []byte
	var exponential bool
	err := eachMember(metric, func(key string, value []byte) (err error) {
		switch key {
		case "name":
			p.Metric, err = text(value)
		case "unit":
			p.Unit, err = text(value)
		case "histogram", "exponentialHistogram":
			if !isNull(value) {
				data, exponential = value, key == "exponentialHistogram"
			}
		}
		return err
	})
	if err != nil || data == nil || !v.WantMetric(p.Metric) {
		return err
	}
	var points []byte
	err = eachMember(data, func(key string, value []byte) (err error) {
		switch key {
		case "aggregationTemporality":
			p.Temporality, err = temporality(value)
		case "dataPoints":
			points = value
		}
		return err
	})
	if err != nil || points == nil {
		return err
	}
	return eachElement(points, func(point []byte) error {
		if !d.spend() {
			d.res.reject(ErrTooMany)
			return nil
		}
		d.resetPoint()
		if exponential {
			p.Exponential = &d.exp
		}
		flags, err := d.jsonPoint(point)
		if err != nil {
			d.res.reject(err)
			return nil
		}
		d.emitPoint(v, flags)
		return nil
	})
}

func (d *decoder) jsonPoint(point []byte) (flags uint64, err error) {
	p := &d.point
	err = eachMember(point, func(key string, value []byte) (err error) {
		switch key {
		case "attributes":
			p.Attributes = p.Attributes[:0]
			err = jsonAttributes(value, &p.Attributes)
		case "startTimeUnixNano":
			p.Start, err = unsigned(value)
		case "timeUnixNano":
			p.Time, err = unsigned(value)
		case "count":
			p.Count, err = unsigned(value)
		case "sum":
			p.Sum, err = float(value)
		case "flags":
			flags, err = unsigned(value)
		case "min":
			if !isNull(value) {
				p.Min, err = float(value)
			}
		case "max":
			if !isNull(value) {
				p.Max, err = float(value)
			}
		default:
			err = d.jsonPointBuckets(key, value)
		}
		return err
	})
	return flags, err
}

// jsonPointBuckets reads the fields that explicit and exponential points do
// not share; one of the other sort is ignored like any unknown field.
func (d *decoder) jsonPointBuckets(key string, value []byte) (err error) {
	p := &d.point
	if p.Exponential == nil {
		switch key {
		case "bucketCounts":
			p.Counts, err = jsonBuckets(value, p.Counts[:0], unsigned)
		case "explicitBounds":
			p.Bounds, err = jsonBuckets(value, p.Bounds[:0], float)
		}
		return err
	}
	switch key {
	case "scale":
		d.exp.Scale, err = jsonInt32(value)
	case "zeroCount":
		d.exp.ZeroCount, err = unsigned(value)
	case "positive":
		err = eachMember(value, func(key string, value []byte) (err error) {
			switch key {
			case "offset":
				d.exp.Offset, err = jsonInt32(value)
			case "bucketCounts":
				d.exp.Counts, err = jsonBuckets(value, d.exp.Counts[:0], unsigned)
			}
			return err
		})
	}
	return err
}

func jsonBuckets[T uint64 | float64](array []byte, to []T, read func([]byte) (T, error)) ([]T, error) {
	err := eachElement(array, func(value []byte) error {
		if len(to) >= maxBuckets {
			return fmt.Errorf("%w: buckets", ErrTooMany)
		}
		n, err := read(value)
		to = append(to, n)
		return err
	})
	return to, err
}

func jsonInt32(value []byte) (int32, error) {
	i, err := signed(value)
	if err == nil && (i < math.MinInt32 || i > math.MaxInt32) {
		err = errJSON
	}
	return int32(i), err
}
