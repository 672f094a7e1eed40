package otlp

import (
	"fmt"
	"math"
)

// toMilliseconds scales a point to milliseconds by its unit.
func toMilliseconds(p *HistogramPoint) error {
	var factor float64
	switch p.Unit {
	case "ms", "":
		return nil
	case "s":
		factor = 1e3
	case "us":
		factor = 1e-3
	case "ns":
		factor = 1e-6
	default:
		return fmt.Errorf("%w: planning time in an unknown unit", ErrMalformed)
	}
	if p.Exponential != nil {
		if err := explicit(p); err != nil {
			return err
		}
	}
	p.Sum, p.Min, p.Max = p.Sum*factor, p.Min*factor, p.Max*factor
	for i := range p.Bounds {
		p.Bounds[i] *= factor
		if math.IsInf(p.Bounds[i], 0) || i > 0 && p.Bounds[i] <= p.Bounds[i-1] {
			return fmt.Errorf("%w: histogram bounds that do not rise", ErrMalformed)
		}
	}
	return nil
}

// explicit writes the buckets of an exponential point as bounds. A factor of
// 1,000 is no whole number of exponential buckets, so that scaling their index
// would move every sample; bounds scale exactly.
func explicit(p *HistogramPoint) error {
	e := p.Exponential
	p.Exponential = nil
	p.Bounds, p.Counts = p.Bounds[:0], append(p.Counts[:0], e.ZeroCount)
	for i := 0; i <= len(e.Counts); i++ {
		// base^index = 2^(index / 2^scale)
		bound := math.Exp2(math.Ldexp(float64(e.Offset)+float64(i), -int(e.Scale)))
		if math.IsInf(bound, 0) || i > 0 && bound <= p.Bounds[i-1] {
			return fmt.Errorf("%w: exponential histogram out of range", ErrMalformed)
		}
		p.Bounds = append(p.Bounds, bound)
		if i < len(e.Counts) {
			p.Counts = append(p.Counts, e.Counts[i])
		}
	}
	p.Counts = append(p.Counts, 0) // above the last bound
	return nil
}
