package manifest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestValidProfile(t *testing.T) {
	for name, want := range map[string]bool{
		"beta": true, "a-b_9": true, strings.Repeat("x", 64): true,
		"": false, "Beta": false, "a b": false, "a/b": false, "é": false, "a\n": false, strings.Repeat("x", 65): false,
	} {
		if got := ValidProfile(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestPinProfiles(t *testing.T) {
	for _, c := range []struct {
		profiles []string
		fault    string
	}{
		{[]string{"beta", "gamma"}, ""},
		{[]string{"beta", "Bad name"}, "pins[0].profiles[1]: not a name"},
		{[]string{"beta", "beta"}, "pins[0].profiles[1]: is there twice"},
		{strings.Split("a b c d e f g h i", " "), "pins[0].profiles: 9, at most 8"},
	} {
		p := fullPins()
		p.Pins[0].Profiles = c.profiles
		err := p.Validate()
		if c.fault == "" && err != nil || c.fault != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), c.fault)) {
			t.Errorf("%v: %v", c.profiles, err)
		}
		if err != nil && strings.Contains(err.Error(), "Bad name") {
			t.Errorf("the content is repeated: %v", err)
		}
	}
	again := fullPins().Pins[0]
	again.Profiles = []string{"beta"}
	p := fullPins()
	if res, err := p.Push([]Pin{again}, 5, false); err != nil || len(res.Moved) != 1 || !slices.Equal(p.Pins[0].Profiles, again.Profiles) {
		t.Errorf("a push takes over the profiles: %+v, %v", res, err)
	}
}

func TestUnderProfiles(t *testing.T) {
	e := Entry{Planwarm: Details{PlanKey: "1", Conditions: map[string]bool{"a": true}, Variants: []Variant{{PlanKey: "2", Conditions: map[string]bool{"a": false}}}}}
	before := e.Planwarm.Variants
	e.UnderProfiles([]string{"beta", "gamma"})
	var got []string
	for _, x := range e.Expand() {
		got = append(got, x.Planwarm.Profile+"/"+x.Planwarm.PlanKey)
	}
	if want := []string{"/1", "/2", "beta/1", "beta/2", "gamma/1", "gamma/2"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if want := []string{"", "beta", "gamma"}; !slices.Equal(e.Profiles(), want) {
		t.Errorf("profiles %v", e.Profiles())
	}
	if len(before) != 1 || before[0].Profile != "" {
		t.Errorf("what was given has changed: %+v", before)
	}
	many := Entry{Planwarm: Details{PlanKey: "1", Variants: make([]Variant, 10)}}
	many.UnderProfiles([]string{"beta", "gamma"})
	if n := len(many.Planwarm.Variants); n != MaxVariants || many.Planwarm.Variants[9].Profile != "" || many.Planwarm.Variants[10].Profile != "beta" {
		t.Errorf("%d variants", n)
	}
}

// One plan key under several profiles is one slot, in whichever order they come.
func TestBuildKeepsProfilesInOneSlot(t *testing.T) {
	pin := pushed("7", 0)
	pin.UnderProfiles([]string{"beta"})
	other := pushed("7", 1)
	other.Request.Query = "query Other { other }"
	other.Planwarm.Profile = "gamma"
	for _, cs := range [][]Candidate{{pin, other, seen("7", 10, 10)}, {seen("7", 10, 10), other, pin}} {
		r := mustBuild(t, testInput(cs...))
		if len(r.Manifest.Operations) != 1 {
			t.Fatalf("%d entries", len(r.Manifest.Operations))
		}
		e := r.Manifest.Operations[0]
		if want := []string{"", "beta", "gamma"}; !slices.Equal(e.Profiles(), want) || e.Planwarm.Executions != 10 {
			t.Errorf("profiles %v, %+v", e.Profiles(), e.Planwarm)
		}
	}
}

// No variant can say that it has no profile, so the entry then has none.
func TestBuildLosesNoRequestWithoutProfile(t *testing.T) {
	pin := pushed("7", 0)
	pin.Planwarm.Profile = "beta"
	r := mustBuild(t, testInput(pin, seen("7", 10, 10)))
	if e := r.Manifest.Operations[0]; !reflect.DeepEqual(e.Profiles(), []string{"", "beta"}) {
		t.Errorf("profiles %v", e.Profiles())
	}
	r = mustBuild(t, testInput(pin))
	if e := r.Manifest.Operations[0]; !reflect.DeepEqual(e.Profiles(), []string{"beta"}) {
		t.Errorf("alone: profiles %v", e.Profiles())
	}
}

func TestNewProfileIsNewContent(t *testing.T) {
	pin := pushed("7", 0)
	a := mustBuild(t, testInput(pin)).Manifest
	pin.UnderProfiles([]string{"beta"})
	b := mustBuild(t, testInput(pin)).Manifest
	if SameContent(a, b) || !SameContent(b, b) {
		t.Error("a new profile is nothing new")
	}
	if d := Diff(a, b); len(d.Changed) != 1 || !slices.Equal(d.Changed[0].Fields, []string{"variants"}) {
		t.Errorf("%+v", d)
	}
}

// A plan under a profile is none that the other list has without one.
func TestMergeKeepsProfiles(t *testing.T) {
	plain := seen("7", 10, 10).Entry
	under := seen("7", 10, 10).Entry
	under.UnderProfiles([]string{"beta"})
	if got := Merge([]Entry{plain}, []Entry{under}, 0); len(got) != 2 {
		t.Errorf("the profile's plan is lost: %d entries", len(got))
	}
	if got := Merge([]Entry{under}, []Entry{plain, under}, 0); len(got) != 1 {
		t.Errorf("%d entries, all known before", len(got))
	}
	under.Planwarm.PlanKey = ""
	if got := Merge([]Entry{plain}, []Entry{under}, 0); len(got) != 2 {
		t.Errorf("without a key the profile's plan is lost: %d entries", len(got))
	}
}
