package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var _ Bucket = (*instrumented)(nil)

// The operations and outcomes of a bucket as they stand in metrics.
var (
	bucketOps      = []string{"get", "put", "list", "delete"}
	bucketOutcomes = []struct {
		name string
		err  error
	}{
		{"not_found", ErrNotFound}, {"not_modified", ErrNotModified}, {"conflict", ErrConflict}, {"denied", ErrDenied},
		{"no_bucket", ErrNoBucket}, {"ambiguous", ErrAmbiguous}, {"too_large", ErrTooLarge},
	}
)

// instrumented counts the calls to a bucket.
type instrumented struct {
	next     Bucket
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

// Instrument returns a bucket that counts and times its calls, by operation
// and outcome.
func Instrument(b Bucket, r prometheus.Registerer) (Bucket, error) {
	i := &instrumented{
		next: b,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "planwarm_bucket_requests_total",
			Help: "Calls to the bucket, by operation and outcome.",
		}, []string{"op", "outcome"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "planwarm_bucket_request_seconds",
			Help:    "Time of calls to the bucket, by operation.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
		}, []string{"op"}),
	}
	for _, op := range bucketOps {
		i.seconds.WithLabelValues(op)
		for _, outcome := range []string{"ok", "not_found", "conflict", "ambiguous"} {
			i.requests.WithLabelValues(op, outcome)
		}
	}
	for _, c := range []prometheus.Collector{i.requests, i.seconds} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return i, nil
}

func (i *instrumented) observe(op string, started time.Time, err error) {
	i.seconds.WithLabelValues(op).Observe(time.Since(started).Seconds())
	i.requests.WithLabelValues(op, outcomeOf(err)).Inc()
}

func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	for _, o := range bucketOutcomes {
		if errors.Is(err, o.err) {
			return o.name
		}
	}
	return "error"
}

// Get reads one object.
func (i *instrumented) Get(ctx context.Context, key string, o GetOptions) (obj Object, err error) {
	defer func(started time.Time) { i.observe("get", started, err) }(time.Now())
	return i.next.Get(ctx, key, o)
}

// Put writes one object.
func (i *instrumented) Put(ctx context.Context, key string, body []byte, o PutOptions) (etag string, err error) {
	defer func(started time.Time) { i.observe("put", started, err) }(time.Now())
	return i.next.Put(ctx, key, body, o)
}

// List returns entries.
func (i *instrumented) List(ctx context.Context, prefix, after string, limit int) (page []Listed, err error) {
	defer func(started time.Time) { i.observe("list", started, err) }(time.Now())
	return i.next.List(ctx, prefix, after, limit)
}

// Delete removes a key.
func (i *instrumented) Delete(ctx context.Context, key string) (err error) {
	defer func(started time.Time) { i.observe("delete", started, err) }(time.Now())
	return i.next.Delete(ctx, key)
}
