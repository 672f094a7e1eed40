package manifest

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func pinOf(name string) Pin {
	return Pin{Request: Request{OperationName: name, Query: "{ " + name + " }"}, PushedAt: testNow}
}

func pinsOf(names ...string) []Pin {
	pins := make([]Pin, len(names))
	for i, n := range names {
		pins[i] = pinOf(n)
	}
	return pins
}

// stackOf makes a stack, the newest first.
func stackOf(t *testing.T, names ...string) *Pins {
	t.Helper()
	p := &Pins{Format: PinsFormat, Graph: testGraph}
	oldestFirst := slices.Clone(names)
	slices.Reverse(oldestFirst)
	if _, err := p.Push(pinsOf(oldestFirst...), MaxEntries, false); err != nil {
		t.Fatal(err)
	}
	return p
}

func pinNames(pins []Pin) string {
	names := make([]string, len(pins))
	for i, p := range pins {
		names[i] = p.Request.OperationName
	}
	return strings.Join(names, " ")
}

func TestPinID(t *testing.T) {
	a := Request{OperationName: "A", Query: "{ a }"}
	// Ids are in buckets and in people's notes: they never change.
	if got, want := PinID(a), "cbbdc5e885e429f868f068e7bceecffcc17ebd8a3254b880e69254c6f98d496c"; got != want {
		t.Errorf("id %s, want %s", got, want)
	}
	if PinID(a) != PinID(Request{OperationName: "A", Query: "{ a }", Extensions: &Extensions{}}) {
		t.Error("an empty extension changed the id")
	}
	for _, other := range []Request{
		{OperationName: "A", Query: "{ a  }"},
		{OperationName: "", Query: "{ a }"},
		{OperationName: "A{", Query: " a }"},
		{OperationName: "A", Query: "{ a }", Extensions: &Extensions{PersistedQuery: &PersistedQuery{SHA256Hash: testSchema[7:], Version: 1}}},
	} {
		if PinID(a) == PinID(other) {
			t.Errorf("%+v has the same id", other)
		}
	}
}

func TestPush(t *testing.T) {
	tests := []struct {
		name                       string
		stack, push                string
		limit                      int
		evict                      bool
		want                       string
		added, moved, fell, parked string
		err                        error
	}{
		{name: "first", push: "a", limit: 3, want: "a", added: "a"},
		{name: "on top", stack: "b a", push: "c", limit: 3, want: "c b a", added: "c"},
		{name: "several, the last on top", stack: "a", push: "b c", limit: 3, want: "c b a", added: "c b"},
		{name: "at the limit the oldest falls", stack: "c b a", push: "d", limit: 3, want: "d c b", added: "d", fell: "a"},
		{name: "already there", stack: "c b a", push: "a", limit: 3, want: "a c b", moved: "a"},
		{name: "already on top", stack: "c b a", push: "c", limit: 3, want: "c b a", moved: "c"},
		{name: "twice in one push", stack: "a", push: "b c b", limit: 3, want: "b c a", added: "b c"},
		{name: "several that fit, one there", stack: "c a", push: "a b", limit: 3, want: "b a c", added: "b", moved: "a"},
		{name: "several that would evict", stack: "c b a", push: "d e", limit: 4, want: "c b a", fell: "a", err: ErrWouldEvict},
		{name: "several that may evict", stack: "c b a", push: "d e", limit: 4, evict: true, want: "e d c b", added: "e d", fell: "a"},
		{name: "more than there is room", push: "a b c", limit: 2, err: ErrWouldEvict, fell: "a"},
		{name: "more than there is room, forced", push: "a b c", limit: 2, evict: true, want: "c b", added: "c b", fell: "a"},
		// The limit was lowered from 4 to 2: b and a are parked.
		{name: "above the limit", stack: "d c b a", push: "e", limit: 2, want: "e d c b", added: "e", fell: "a", parked: "c"},
		{name: "above the limit, several", stack: "d c b a", push: "e f", limit: 2, want: "d c b a", fell: "b a", parked: "d c", err: ErrWouldEvict},
		{name: "above the limit, several, forced", stack: "d c b a", push: "e f", limit: 2, evict: true, want: "f e d c", added: "f e", fell: "b a", parked: "d c"},
		{name: "a parked one comes back", stack: "d c b a", push: "a", limit: 2, want: "a d c b", moved: "a", parked: "c"},
		{name: "an active one moves, nothing else happens", stack: "d c b a", push: "c", limit: 2, want: "c d b a", moved: "c"},
		{name: "nothing", stack: "b a", limit: 2, want: "b a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := stackOf(t, strings.Fields(tt.stack)...)
			before := p.clone()
			res, err := p.Push(pinsOf(strings.Fields(tt.push)...), tt.limit, tt.evict)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if tt.err != nil && !reflect.DeepEqual(*p, before) {
				t.Error("a push that failed changed something")
			}
			if got := pinNames(p.Pins); got != tt.want && tt.err == nil {
				t.Errorf("stack %q, want %q", got, tt.want)
			}
			for _, part := range []struct{ name, got, want string }{
				{"added", pinNames(res.Added), tt.added}, {"moved", pinNames(res.Moved), tt.moved},
				{"fell", pinNames(res.Fell), tt.fell}, {"parked", pinNames(res.Parked), tt.parked},
			} {
				if part.got != part.want {
					t.Errorf("%s %q, want %q", part.name, part.got, part.want)
				}
			}
			if err := p.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPushAgainTakesOverWhatIsNew(t *testing.T) {
	p := stackOf(t, "b", "a")
	pin := pinOf("a")
	pin.Client, pin.PushedBy, pin.PushedAt, pin.Until = &Client{Name: "ios"}, "eve", testNow.Add(time.Hour), ptr(testNow.Add(2*time.Hour))
	res, err := p.Push([]Pin{pin}, 2, false)
	if err != nil {
		t.Fatal(err)
	}
	pin.ID = PinID(pin.Request)
	if !reflect.DeepEqual(p.Pins[0], pin) || !reflect.DeepEqual(res.Moved, []Pin{pin}) {
		t.Errorf("got %+v", p.Pins[0])
	}
}

func TestPushDropsExpiredFirst(t *testing.T) {
	p := stackOf(t, "c", "b", "a")
	p.Pins[1].Until = ptr(testNow) // b
	res, err := p.Push(pinsOf("d"), 3, false)
	if err != nil || pinNames(p.Pins) != "d c a" || pinNames(res.Fell) != "b" {
		t.Errorf("stack %s, fell %s, %v", pinNames(p.Pins), pinNames(res.Fell), err)
	}
	p = stackOf(t, "c", "b", "a")
	p.Pins[0].Until, p.Pins[1].Until = ptr(testNow), ptr(testNow)
	if _, err := p.Push(pinsOf("d", "e"), 3, false); err != nil {
		t.Errorf("only expired ones fall, nobody needs to allow that: %v", err)
	}
}

func TestPushRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		pins  []Pin
		limit int
		want  string
	}{
		"limit 0":         {pinsOf("a"), 0, "limit 0"},
		"limit too large": {pinsOf("a"), MaxEntries + 1, "limit"},
		"too many":        {make([]Pin, MaxEntries+1), 10, "too large"},
		"no text":         {append(pinsOf("a"), Pin{PushedAt: testNow}), 10, "pins[1].request: no query"},
		"no time":         {[]Pin{{Request: pinOf("a").Request}}, 10, "pins[0].pushedAt: not set"},
		"id of another":   {[]Pin{{ID: PinID(Request{}), Request: pinOf("a").Request, PushedAt: testNow}}, 10, "pins[0].id"},
	} {
		p := stackOf(t, "x")
		if _, err := p.Push(tt.pins, tt.limit, true); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if pinNames(p.Pins) != "x" {
			t.Errorf("%s: changed the stack", name)
		}
	}
}

// Whatever is pushed under whatever limits: nothing goes without being told,
// the newest is on top, and only pushes make the stack higher than a limit.
func TestPushProperties(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		p := &Pins{Format: PinsFormat, Graph: testGraph}
		for step := range 50 {
			limit := 1 + r.IntN(8)
			var push []Pin
			for range 1 + r.IntN(3) {
				push = append(push, pinOf("p"+strconv.Itoa(r.IntN(20))))
			}
			before := p.clone()
			res, err := p.Push(push, limit, r.IntN(2) == 0)
			if errors.Is(err, ErrWouldEvict) && len(push) > 1 {
				if !reflect.DeepEqual(*p, before) {
					t.Fatalf("seed %d step %d: changed in spite of the error", seed, step)
				}
				continue
			}
			if err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
			if p.Pins[0].Request != push[len(push)-1].Request {
				t.Fatalf("seed %d step %d: the newest is not on top", seed, step)
			}
			if len(p.Pins) > max(limit, len(before.Pins)) {
				t.Fatalf("seed %d step %d: %d pins, limit %d, were %d", seed, step, len(p.Pins), limit, len(before.Pins))
			}
			told := make(map[string]bool)
			for _, pin := range slices.Concat(res.Fell, res.Parked) {
				told[pin.ID] = true
			}
			now := make(map[string]int)
			for i, pin := range p.Pins {
				now[pin.ID] = i + 1
			}
			for i, pin := range before.Pins {
				place := now[pin.ID]
				gone := place == 0 || i < limit && place > limit
				if gone && !told[pin.ID] {
					t.Fatalf("seed %d step %d: %s left and nobody was told", seed, step, pin.Request.OperationName)
				}
			}
			if err := p.Validate(); err != nil {
				t.Fatalf("seed %d step %d: %v", seed, step, err)
			}
		}
	}
}

func TestRemove(t *testing.T) {
	p := stackOf(t, "c", "b", "a")
	p.Pins[0].PlanKey = "77"
	shared := p.Pins
	id := p.Pins[1].ID
	for _, s := range []string{"", "zz", id[:7], "7"} {
		if _, err := p.Remove(s); !errors.Is(err, ErrNotFound) {
			t.Errorf("remove %q: %v", s, err)
		}
	}
	if pin, err := p.Remove("77"); err != nil || pin.Request.OperationName != "c" {
		t.Errorf("by plan key: %+v, %v", pin, err)
	}
	if pin, err := p.Remove(id[:8]); err != nil || pin.ID != id {
		t.Errorf("by prefix: %+v, %v", pin, err)
	}
	if _, err := p.Remove("a"); err != nil || len(p.Pins) != 0 {
		t.Errorf("by name: %v, %d left", err, len(p.Pins))
	}
	if pinNames(shared) != "c b a" {
		t.Error("a list that somebody else may hold was changed")
	}

	other := pinOf("a")
	other.Request.Query = "{ other }"
	p = stackOf(t, "a")
	if _, err := p.Push([]Pin{other}, 10, false); err != nil {
		t.Fatal(err)
	}
	_, err := p.Remove("a")
	if !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), p.Pins[0].ID) || !strings.Contains(err.Error(), p.Pins[1].ID) {
		t.Errorf("two of one name: %v", err)
	}
	if got := pinNames(p.Parked(1)); got != "a" || len(p.Parked(5)) != 0 {
		t.Errorf("parked %q", got)
	}
}

func TestDeny(t *testing.T) {
	var p Pins
	id := PinID(Request{Query: "{ a }"})
	for _, d := range []Deny{
		{OperationName: "Slow", DeniedAt: testNow}, {PlanKey: "7", DeniedAt: testNow}, {Hash: "8", DeniedAt: testNow}, {ID: id, DeniedAt: testNow},
	} {
		if added, err := p.DenyAdd(d); err != nil || !added {
			t.Fatalf("add %+v: %v, %v", d, added, err)
		}
	}
	added, err := p.DenyAdd(Deny{PlanKey: "7", Reason: "again", DeniedAt: testNow})
	if err != nil || added || len(p.Deny) != 4 || p.Deny[1].Reason != "again" {
		t.Errorf("again: %v, %v, %+v", added, err, p.Deny)
	}
	if _, err := p.DenyAdd(Deny{Reason: "nothing named", DeniedAt: testNow}); !errors.Is(err, ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	for _, s := range []string{"", "x", id[:7]} {
		if _, err := p.DenyRemove(s); !errors.Is(err, ErrNotFound) {
			t.Errorf("remove %q: %v", s, err)
		}
	}
	for _, s := range []string{"Slow", "7", "8", id[:12]} {
		if gone, err := p.DenyRemove(s); err != nil || len(gone) != 1 {
			t.Errorf("remove %q: %+v, %v", s, gone, err)
		}
	}
	if len(p.Deny) != 0 {
		t.Errorf("left %+v", p.Deny)
	}
	for i := range MaxEntries {
		p.Deny = append(p.Deny, Deny{PlanKey: strconv.Itoa(i), DeniedAt: testNow})
	}
	if _, err := p.DenyAdd(Deny{PlanKey: "99999", DeniedAt: testNow}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}
