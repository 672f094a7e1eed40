package telemetry

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// bound is the worst relative error of a quantile from base 2^(1/32) buckets.
var bound = math.Exp2(1.0/64) - 1 + 1e-9

func within(t testing.TB, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > bound*want {
		t.Errorf("%s is %v, want %v: off by %.3f %%", what, got, want, 100*math.Abs(got-want)/want)
	}
}

// nearestRank is the percentile of sorted values, written down once more.
func nearestRank(sorted []float64, percent int) float64 {
	return sorted[(percent*len(sorted)+99)/100-1]
}

var distributions = map[string]func(r *rand.Rand) float64{
	"lognormal": func(r *rand.Rand) float64 { return 20 * math.Exp(r.NormFloat64()) },
	"bimodal": func(r *rand.Rand) float64 {
		if r.Float64() < 0.88 {
			return 0.8 * math.Exp(0.3*r.NormFloat64())
		}
		return 300 * math.Exp(0.2*r.NormFloat64())
	},
	"pareto":  func(r *rand.Rand) float64 { return min(5/math.Pow(1-r.Float64(), 1/1.1), 6e5) },
	"slow":    func(r *rand.Rand) float64 { return 3000 * math.Exp(0.8*r.NormFloat64()) },
	"fast":    func(r *rand.Rand) float64 { return 0.002 * math.Exp(0.5*r.NormFloat64()) },
	"uniform": func(r *rand.Rand) float64 { return 1 + 99*r.Float64() },
}

func TestQuantilesOfSpansAreWithinTheBound(t *testing.T) {
	for name, next := range distributions {
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 1))
			n := 1 + r.IntN(700)
			table := newTable(t, nil)
			values := make([]float64, n)
			for i := range values {
				took := time.Duration(max(next(r)*1e6, 1))
				values[i] = milliseconds(int64(took))
				// over 24 hours and 6 days, so that it merges what it merges in use
				table.Span(start.Add(time.Duration(i)*160*time.Hour/time.Duration(n)), spanOf(uint64(i+1), "7", took))
			}
			slices.Sort(values)
			u := usageOf(t, table.Usages(start.Add(160*time.Hour), DefaultWindow), "7")
			within(t, name+" P50", u.P50, nearestRank(values, 50))
			within(t, name+" P90", u.P90, nearestRank(values, 90))
			within(t, name+" P99", u.P99, nearestRank(values, 99))
			if u.Max != values[n-1] || u.Min != values[0] || u.Samples != uint64(n) {
				t.Errorf("%s: min %v max %v of %d samples, want %v, %v, %d", name, u.Min, u.Max, u.Samples, values[0], values[n-1], n)
			}
		}
	}
}

// exponentialPoint makes a point of scale from values.
func exponentialPoint(values []float64, scale int32) Point {
	e := &Exponential{Scale: scale}
	indices := make(map[int32]uint64)
	p := Point{Temporality: Delta, Time: 1, Op: Operation{Hash: "7"}, Min: math.NaN(), Max: math.NaN(), Exponential: e}
	lowest, highest := int32(math.MaxInt32), int32(math.MinInt32)
	for _, v := range values {
		p.Count++
		p.Sum += v
		if v == 0 {
			e.ZeroCount++
			continue
		}
		i := int32(math.Ceil(math.Ldexp(math.Log2(v), int(scale)))) - 1
		indices[i]++
		lowest, highest = min(lowest, i), max(highest, i)
	}
	e.Offset = lowest
	for i := lowest; i <= highest; i++ {
		e.Counts = append(e.Counts, indices[i])
	}
	return p
}

func TestFineExponentialPointsEqualSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	values := make([]float64, 200)
	fromSpans := newTable(t, nil)
	for i := range values {
		took := time.Duration(distributions["uniform"](r) * 1e6)
		values[i] = milliseconds(int64(took))
		fromSpans.Span(start, spanOf(uint64(i+1), "7", took))
	}
	want := fromSpans.operations["7"].series[0].bins
	for _, scale := range []int32{5, 6, 8} {
		table := newTable(t, nil)
		table.Point(start, exponentialPoint(values, scale))
		if got := table.operations["7"].series[0]; got.layout != fine || !slices.Equal(got.bins, want) {
			t.Errorf("scale %d: bins %v, want %v", scale, got.bins, want)
		}
	}
	slices.Sort(values)
	for _, scale := range []int32{4, 2, 0} {
		table := newTable(t, nil)
		table.Point(start, exponentialPoint(values, scale))
		u := usageOf(t, table.Usages(start, DefaultWindow), "7")
		truth := nearestRank(values, 90)
		base := math.Exp2(math.Ldexp(1, -int(scale)))
		if u.P90 < truth/base || u.P90 > truth*base {
			t.Errorf("scale %d: P90 %v is not in the bucket of %v", scale, u.P90, truth)
		}
	}
}

func TestZeroBucket(t *testing.T) {
	table := newTable(t, nil)
	table.Point(start, exponentialPoint([]float64{0, 0, 0, 4}, 5))
	u := usageOf(t, table.Usages(start, DefaultWindow), "7")
	if u.P50 != 0 || u.Samples != 4 || u.Min != 0 {
		t.Errorf("got %+v", u)
	}
	within(t, "P90", u.P90, 4)
}

func TestExplicitQuantileLiesInItsBucket(t *testing.T) {
	bounds := []float64{0, 5, 7, 10, 15, 25, 50, 75, 100, 250, 500, 1000, 10000}
	for name, next := range distributions {
		for seed := range uint64(10) {
			r := rand.New(rand.NewPCG(seed, 3))
			table := newTable(t, nil)
			var values []float64
			for point := range 1 + r.IntN(20) {
				p := Point{Temporality: Delta, Time: uint64(point + 1), Op: Operation{Hash: "7"}, Bounds: bounds,
					Counts: make([]uint64, len(bounds)+1), Min: math.Inf(1), Max: math.Inf(-1)}
				for range 1 + r.IntN(20) {
					v := next(r)
					values = append(values, v)
					at, _ := slices.BinarySearch(bounds, v)
					p.Counts[at]++
					p.Count++
					p.Sum += v
					p.Min, p.Max = min(p.Min, v), max(p.Max, v)
				}
				if seed%2 == 1 {
					p.Min, p.Max = math.NaN(), math.NaN()
				}
				table.Point(start, p)
			}
			slices.Sort(values)
			u := usageOf(t, table.Usages(start, DefaultWindow), "7")
			for percent, got := range map[int]float64{50: u.P50, 90: u.P90, 99: u.P99} {
				truth := nearestRank(values, percent)
				want, _ := slices.BinarySearch(bounds, truth)
				if at, _ := slices.BinarySearch(bounds, got); at != want && got != bounds[want-1] {
					t.Errorf("%s: P%d is %v, not in the bucket of %v", name, percent, got, truth)
				}
			}
		}
	}
}

func TestOneBucketUsesTheMean(t *testing.T) {
	table := newTable(t, nil)
	// 100 samples under 5 ms: most at 0.5, one at 4.5.
	table.Point(start, Point{Temporality: Delta, Time: 1, Op: Operation{Hash: "7"}, Count: 100, Sum: 54, Min: 0.4, Max: 4.5,
		Bounds: []float64{0, 5}, Counts: []uint64{0, 100, 0}})
	u := usageOf(t, table.Usages(start, DefaultWindow), "7")
	if u.P50 > 0.6 || u.P90 > 1.5 || u.P90 < 0.4 {
		t.Errorf("P50 %v, P90 %v: the mean of 0.54 is not used", u.P50, u.P90)
	}
}

func TestRankIsNearestRank(t *testing.T) {
	for n := uint64(1); n < 500; n++ {
		for _, percent := range []uint64{50, 90, 99} {
			if got, want := rank(n, percent), (percent*n+99)/100; got != want {
				t.Fatalf("rank of P%d among %d is %d, want %d", percent, n, got, want)
			}
		}
	}
}

// FuzzPoint gives points of any content: the table takes or refuses them, and
// what it says afterwards is in order.
func FuzzPoint(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5}, uint64(15), 40.0, 0.5, 9.0, int8(5), int16(-20), uint8(0))
	f.Add([]byte{0, 1}, uint64(1), math.NaN(), math.Inf(1), -1.0, int8(-10), int16(3000), uint8(1))
	f.Add([]byte{9}, uint64(9), 1e300, 1e-300, 1e300, int8(20), int16(-32768), uint8(3))
	f.Fuzz(func(t *testing.T, counts []byte, n uint64, sum, lowest, highest float64, scale int8, offset int16, kind uint8) {
		table := newTable(t, nil)
		for round := range uint64(3) {
			p := Point{Temporality: Temporality(1 + kind&1), Time: round + 1, Op: Operation{Hash: "7"}, Count: n, Sum: sum, Min: lowest, Max: highest}
			var total uint64
			for i, c := range counts {
				grown := uint64(c) * (round + 1) << (kind >> 2)
				p.Counts = append(p.Counts, grown)
				total += grown
				if i > 0 {
					p.Bounds = append(p.Bounds, float64(i)*highest)
				}
			}
			if kind&2 != 0 {
				p.Exponential = &Exponential{Scale: int32(scale), Offset: int32(offset) << (kind >> 3), Counts: p.Counts, ZeroCount: n >> 1}
				total += n >> 1
			}
			if scale&1 == 0 { // mostly points that agree with themselves
				p.Count = total
			}
			table.Point(start, p)
		}
		for _, u := range table.Usages(start, DefaultWindow) {
			figures := []float64{u.Min, u.P50, u.P90, u.P99, u.Max}
			for _, v := range append(figures, u.Sum, u.Mean) {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Fatalf("%+v", u)
				}
			}
			if !slices.IsSorted(figures) || u.Samples > u.Executions {
				t.Fatalf("%+v", u)
			}
		}
		checkAccounts(t, table)
		reread(t, table)
	})
}
