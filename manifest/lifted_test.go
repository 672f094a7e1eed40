package manifest

import "testing"

// TestLiftedIsOfTheText: what is said of a text is not said of another one.
func TestLiftedIsOfTheText(t *testing.T) {
	entry := func(query string, lifted bool) Entry {
		return Entry{Request: Request{Query: query}, Planwarm: Details{PlanKey: "1", Lifted: lifted}}
	}
	for _, main := range []bool{true, false} {
		e := entry("{ a }", main)
		e.Planwarm.Variants = []Variant{
			relative(e, entry("{ a }", main)), relative(e, entry("{  a }", !main)), relative(e, entry("{a}", main)),
		}
		e.Planwarm.Variants[0].Client = &Client{Name: "ios"}
		want := []bool{main, main, !main, main}
		for i, x := range e.Expand() {
			if x.Planwarm.Lifted != want[i] {
				t.Errorf("entry lifted %t: request %d is %t", main, i, x.Planwarm.Lifted)
			}
		}
	}
}
