package manifest

import (
	"reflect"
	"testing"
)

func TestExpand(t *testing.T) {
	e := fullManifest().Operations[0]
	all := e.Expand()
	if len(all) != 3 {
		t.Fatalf("%d requests", len(all))
	}
	for i, x := range all {
		if x.Planwarm.Variants != nil || x.Planwarm.Source != SourceManual || x.Planwarm.P90Ms != 412 {
			t.Errorf("%d: %+v", i, x.Planwarm)
		}
	}
	if all[0].Request != e.Request || all[0].Client != e.Client {
		t.Errorf("the entry itself: %+v", all[0])
	}
	// A name of nothing, and another client; text, persisted id, key and conditions are the entry's.
	if x := all[1]; x.Request.OperationName != "" || x.Request.Query != e.Request.Query || x.Request.Extensions == nil ||
		*x.Client != (Client{Name: "ios"}) || x.Planwarm.PlanKey != e.Planwarm.PlanKey || !x.Planwarm.Conditions["a"] || x.Planwarm.Profile != "beta" {
		t.Errorf("another client: %+v", x)
	}
	// Another text is not what the entry's persisted id stands for.
	if x := all[2]; x.Request.OperationName != "Checkout" || x.Request.Query != "query Cart { cart(id: 1) { total } }" || x.Request.Extensions != nil ||
		*x.Client != *e.Client || x.Planwarm.PlanKey != "7" || x.Planwarm.Conditions["a"] || x.Planwarm.Profile != "alpha" {
		t.Errorf("other conditions: %+v", x)
	}
}

func TestKey(t *testing.T) {
	a, b := Entry{Request: Request{Query: "{a}"}}, Entry{Request: Request{OperationName: "a", Query: "{a}"}}
	if a.Key() == b.Key() || a.Key() == "" {
		t.Errorf("keys %q and %q", a.Key(), b.Key())
	}
	a.Planwarm.PlanKey, b.Planwarm.PlanKey = "1", "1"
	if a.Key() != "1" || b.Key() != "1" {
		t.Errorf("keys %q and %q", a.Key(), b.Key())
	}
}

// What is said relative to an entry means the same when it is expanded.
func TestRelativeExpands(t *testing.T) {
	m := fullManifest()
	main := m.Operations[0].Expand()[0]
	requests := append(m.Operations[0].Expand()[1:], m.Operations[1])
	for i, x := range requests {
		e := main
		e.Planwarm.Variants = []Variant{relative(main, x)}
		got := e.Expand()[1]
		if got.Request.Query != x.Request.Query || got.Request.OperationName != x.Request.OperationName || got.Planwarm.PlanKey != x.Planwarm.PlanKey {
			t.Errorf("%d: got %+v, want %+v", i, got, x)
		}
		if x.Client != nil && *got.Client != *x.Client || x.Planwarm.Conditions != nil && !reflect.DeepEqual(got.Planwarm.Conditions, x.Planwarm.Conditions) {
			t.Errorf("%d: got %+v, want %+v", i, got, x)
		}
	}
}
