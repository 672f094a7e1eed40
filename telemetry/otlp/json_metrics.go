package otlp

import (
	"fmt"
	"math"
)

func (d *decoder) jsonMetrics(body []byte, v MetricVisitor) error {
	return d.jsonResources(body, "resourceMetrics", "scopeMetrics", v.Resource, func(c *cursor) error {
		return c.members(func(key string) error {
			if key != "metrics" {
				c.value()
				return nil
			}
			return c.elements(func() error {
				if err := d.jsonMetric(c, v); err != nil {
					d.res.reject(err)
				}
				return nil
			})
		})
	})
}

func (d *decoder) jsonMetric(c *cursor, v MetricVisitor) error {
	if !d.spend() {
		c.value()
		return ErrTooMany
	}
	p := &d.point
	p.Metric, p.Unit, p.Temporality = "", "", 0
	var data []byte
	var exponential bool
	err := c.members(func(key string) (err error) {
		value := c.value()
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
	c = &cursor{b: data}
	err = c.members(func(key string) (err error) {
		value := c.value()
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
	c = &cursor{b: points}
	return c.elements(func() error {
		if !d.spend() {
			c.value()
			d.res.reject(ErrTooMany)
			return nil
		}
		d.resetPoint()
		if exponential {
			p.Exponential = &d.exp
		}
		flags, err := d.jsonPoint(c)
		if err != nil {
			d.res.reject(err)
			return nil
		}
		d.emitPoint(v, flags)
		return nil
	})
}

func (d *decoder) jsonPoint(c *cursor) (flags uint64, err error) {
	p := &d.point
	err = c.members(func(key string) (err error) {
		if key == "attributes" {
			p.Attributes = p.Attributes[:0]
			return jsonAttributes(c, &p.Attributes)
		}
		value := c.value()
		switch key {
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
		c := &cursor{b: value}
		err = c.members(func(key string) (err error) {
			value := c.value()
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
	c := &cursor{b: array}
	err := c.elements(func() error {
		value := c.value()
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
