package cdnsource_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
)

func TestInstrument(t *testing.T) {
	registry := prometheus.NewRegistry()
	faults := newFaulty()
	b, err := cdnsource.Instrument(faults, registry)
	if err != nil {
		t.Fatalf("instrument: %v", err)
	}
	ctx := t.Context()
	b.Put(ctx, "a", []byte("x"), cdnsource.PutOptions{IfNoneMatch: true})
	b.Put(ctx, "a", []byte("y"), cdnsource.PutOptions{IfNoneMatch: true})
	b.Get(ctx, "a", cdnsource.GetOptions{Limit: 10})
	b.Get(ctx, "b", cdnsource.GetOptions{Limit: 10})
	b.List(ctx, "", "", 10)
	b.Delete(ctx, "a")
	faults.always = func(string, string) error { return cdnsource.ErrDenied }
	b.Get(ctx, "a", cdnsource.GetOptions{Limit: 10})
	want := `
# HELP planwarm_bucket_requests_total Calls to the bucket, by operation and outcome.
# TYPE planwarm_bucket_requests_total counter
planwarm_bucket_requests_total{op="delete",outcome="ambiguous"} 0
planwarm_bucket_requests_total{op="delete",outcome="conflict"} 0
planwarm_bucket_requests_total{op="delete",outcome="not_found"} 0
planwarm_bucket_requests_total{op="delete",outcome="ok"} 1
planwarm_bucket_requests_total{op="get",outcome="ambiguous"} 0
planwarm_bucket_requests_total{op="get",outcome="conflict"} 0
planwarm_bucket_requests_total{op="get",outcome="denied"} 1
planwarm_bucket_requests_total{op="get",outcome="not_found"} 1
planwarm_bucket_requests_total{op="get",outcome="ok"} 1
planwarm_bucket_requests_total{op="list",outcome="ambiguous"} 0
planwarm_bucket_requests_total{op="list",outcome="conflict"} 0
planwarm_bucket_requests_total{op="list",outcome="not_found"} 0
planwarm_bucket_requests_total{op="list",outcome="ok"} 1
planwarm_bucket_requests_total{op="put",outcome="ambiguous"} 0
planwarm_bucket_requests_total{op="put",outcome="conflict"} 1
planwarm_bucket_requests_total{op="put",outcome="not_found"} 0
planwarm_bucket_requests_total{op="put",outcome="ok"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "planwarm_bucket_requests_total"); err != nil {
		t.Error(err)
	}
	if _, err := cdnsource.Instrument(faults, registry); err == nil {
		t.Error("a second bucket took the metrics of the first")
	}
}

// TestInstrumentedStore: counting changes nothing of what a bucket does.
func TestInstrumentedStore(t *testing.T) {
	bucketsuite.RunStore(t, func(t *testing.T) cdnsource.Bucket {
		b, err := cdnsource.Instrument(cdnsource.NewMemory(), prometheus.NewRegistry())
		if err != nil {
			t.Fatalf("instrument: %v", err)
		}
		return b
	})
}
