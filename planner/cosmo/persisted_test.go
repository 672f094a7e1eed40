package cosmo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/manifest"
)

func entryOf(text string) manifest.Entry {
	return manifest.Entry{Request: manifest.Request{Query: text}}
}

func persistedList(t testing.TB, texts ...string) []byte {
	t.Helper()
	ops := map[string]string{}
	for _, x := range texts {
		ops[persistedID(x)] = x
	}
	data, err := json.Marshal(ops)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecodePersisted(t *testing.T) {
	good := persistedList(t, "{a}", "query B{b}")
	whole := []byte(`{"version":1,"revision":"r2","generatedAt":"x","operations":` + string(good) + `}`)
	for name, data := range map[string][]byte{"a map": good, "a manifest": whole} {
		if ops, err := DecodePersisted(data); err != nil || len(ops) != 2 || ops[persistedID("{a}")] != "{a}" {
			t.Errorf("%s: %v, %v", name, ops, err)
		}
	}
	if ops, err := DecodePersisted([]byte("{}")); err != nil || len(ops) != 0 {
		t.Errorf("an empty list: %v, %v", ops, err)
	}
	id := persistedID("{a}")
	many := map[string]string{}
	for i := range maxFaults + 5 {
		many[fmt.Sprintf("id-%d", i)] = "{secret}"
	}
	manyFaults, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ data, tells string }{
		"no JSON":           {"nonsense", "not a JSON object"},
		"a list":            {`[]`, "not a JSON object"},
		"another version":   {`{"version":2,"operations":{}}`, "version 2"},
		"operations a list": {`{"operations":["{secret}"]}`, "not a JSON object"},
		"no text":           {`{"` + id + `":1}`, id},
		"a wrong hash":      {`{"` + id + `":"{secret}"}`, id},
		"an id twice":       {`{"` + id + `":"{a}","` + id + `":"{a}"}`, "twice"},
		"two operations":    {string(persistedList(t, "query A{secret} query B{secret}")), "2 operations"},
		"only a fragment":   {string(persistedList(t, "fragment F on Query{secret}")), "0 operations"},
		"no GraphQL":        {string(persistedList(t, "{secret")), "does not parse"},
		"many faults":       {string(manyFaults), "and 5 more"},
		"too large":         {strings.Repeat(" ", MaxPersistedBytes+1), "larger"},
	} {
		_, err := DecodePersisted([]byte(c.data))
		if !errors.Is(err, ErrPersisted) || !strings.Contains(err.Error(), c.tells) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMergePersisted(t *testing.T) {
	own := map[string]string{persistedID("{own}"): "{own}", persistedID("{both}"): "{both}"}
	conditional := entryOf("query C($s:Boolean!){a @skip(if:$s)}")
	conditional.Planwarm.Conditions = map[string]bool{"s": true}
	ops, left := MergePersisted(own, []manifest.Entry{
		entryOf("{hot}"), entryOf("{both}"), entryOf("query A{a} query B{b}"), entryOf("{"), conditional,
		entryOf("{long(a:\"" + strings.Repeat("x", manifest.MaxQueryBytes) + "\")}"),
	})
	if len(ops) != 3 || ops[persistedID("{hot}")] != "{hot}" || ops[persistedID("{own}")] != "{own}" || left != 4 {
		t.Errorf("%d left out of %v", left, ops)
	}
	if len(own) != 2 {
		t.Error("the owner's list was changed")
	}
	if ops, left := MergePersisted(nil, nil); ops == nil || len(ops) != 0 || left != 0 {
		t.Errorf("nothing at all: %v, %d", ops, left)
	}
	var crowd []manifest.Entry
	for i := range MaxPersistedOperations + 10 {
		crowd = append(crowd, entryOf(fmt.Sprintf("{f%d}", i)))
	}
	if ops, left := MergePersisted(own, crowd); len(ops) != MaxPersistedOperations || left != 12 || ops[persistedID("{own}")] == "" {
		t.Errorf("%d operations, %d left out", len(ops), left)
	}
}

func TestNextPersisted(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	a := map[string]string{persistedID("{a<b}"): "{a<b}"}
	first, err := NextPersisted(nil, nil, now)
	if err != nil || string(first) != `{"version":1,"revision":"planwarm-20260102T030405.000000006Z","generatedAt":"2026-01-02T03:04:05.000000006Z","operations":{}}`+"\n" {
		t.Fatalf("%s, %v", first, err)
	}
	if same, err := NextPersisted(first, map[string]string{}, now.Add(time.Hour)); same != nil || err != nil {
		t.Fatalf("nothing new: %s, %v", same, err)
	}
	revisions, current := map[string]bool{}, first
	for i, ops := range []map[string]string{a, nil, a, nil} { // the same content again is a new revision
		clock := now.Add(-time.Hour) // and a clock that was put back brings none twice
		next, err := NextPersisted(current, ops, clock)
		var m PersistedManifest
		if err != nil || json.Unmarshal(next, &m) != nil || revisions[m.Revision] || len(m.Operations) != len(ops) {
			t.Fatalf("step %d: %s, %v", i, next, err)
		}
		revisions[m.Revision], current = true, next
	}
	for name, foreign := range map[string]string{
		"another writer's": `{"version":1,"revision":"r2","operations":{}}`, "not ours at all": "hello", "empty": "",
	} {
		if body, err := NextPersisted([]byte(foreign), a, now); !errors.Is(err, ErrForeign) || body != nil {
			t.Errorf("%s: %s, %v", name, body, err)
		}
	}
}

// oneObject is a bucket of one object that remembers when it was written.
type oneObject struct {
	mu     sync.Mutex
	body   []byte
	writes []time.Time
	fail   error
}

func (o *oneObject) Rewrite(_ context.Context, _ string, build func([]byte) ([]byte, error)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return o.fail
	}
	body, err := build(o.body)
	if err != nil || body == nil {
		return err
	}
	o.body, o.writes = body, append(o.writes, time.Now())
	return nil
}

func (o *oneObject) set(body []byte, fail error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = fail
	if body != nil {
		o.body = body
	}
}

func (o *oneObject) read(t *testing.T) (PersistedManifest, []time.Time) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var m PersistedManifest
	if err := json.Unmarshal(o.body, &m); err != nil {
		t.Fatal(err)
	}
	return m, o.writes
}

// persistedSources are what a writer reads, as a test sets them.
type persistedSources struct {
	mu      sync.Mutex
	own     []byte
	entries []manifest.Entry
	known   bool
}

func (s *persistedSources) set(change func(*persistedSources)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *persistedSources) Own(context.Context) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own, nil
}

func (s *persistedSources) Entries() ([]manifest.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.entries), s.known
}

func TestPersistedWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// An earlier process knew an operation to warm: before the first fetch it stays.
		before, err := NextPersisted(nil, map[string]string{persistedID("{before}"): "{before}"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		bucket, src := &oneObject{body: before}, &persistedSources{own: persistedList(t, "{own}")}
		w, err := NewPersistedWriter(t.Context(), PersistedOptions{Store: bucket, Key: "warm/manifest.json", Own: src.Own, Entries: src.Entries})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = w.Run(ctx) }()
		defer func() { cancel(); <-done }()
		state := func(when string, operations, writes int) {
			t.Helper()
			synctest.Wait()
			if m, w := bucket.read(t); len(m.Operations) != operations || len(w) != writes {
				t.Fatalf("%s: %d operations, %d writes; want %d, %d", when, len(m.Operations), len(w), operations, writes)
			}
		}
		state("at the start", 2, 1) // at once, not after a poll
		first, _ := bucket.read(t)
		time.Sleep(2 * time.Second)
		state("a second later", 2, 2)
		if m, w := bucket.read(t); w[1].Sub(w[0]) < time.Second || m.Revision != first.Revision {
			t.Fatalf("written again after %s under revision %s", w[1].Sub(w[0]), m.Revision)
		}
		time.Sleep(2 * DefaultPersistedPoll)
		state("nothing new", 2, 2)
		src.set(func(s *persistedSources) { s.known, s.entries = true, []manifest.Entry{entryOf("{hot}")} })
		time.Sleep(DefaultPersistedPoll + 2*time.Second)
		state("the manifest was fetched", 2, 4)
		if m, _ := bucket.read(t); m.Operations[persistedID("{before}")] != "" || m.Revision == first.Revision {
			t.Fatalf("%+v", m)
		}
		src.set(func(s *persistedSources) { s.own, s.entries = []byte("broken"), append(s.entries, entryOf("{new}")) })
		time.Sleep(DefaultPersistedPoll + 2*time.Second)
		state("the owner's list is broken", 3, 6)
		bucket.set(nil, errors.New("bucket is away"))
		src.set(func(s *persistedSources) { s.own = persistedList(t, "{own}", "{own2}") })
		time.Sleep(2 * DefaultPersistedPoll)
		state("the bucket is away", 3, 6)
		bucket.set(nil, nil)
		time.Sleep(DefaultPersistedPoll + 2*time.Second)
		state("it is back", 4, 8)
		bucket.set([]byte(`{"version":1,"revision":"theirs","operations":{}}`), nil)
		time.Sleep(2 * DefaultPersistedPoll)
		state("somebody else's object", 0, 8)
	})
}

func TestPersistedWriterRefusesABrokenList(t *testing.T) {
	o := PersistedOptions{
		Store: &oneObject{}, Key: "k", Entries: func() ([]manifest.Entry, bool) { return nil, true },
		Own: func(context.Context) ([]byte, error) { return []byte("broken"), nil },
	}
	if _, err := NewPersistedWriter(t.Context(), o); !errors.Is(err, ErrPersisted) {
		t.Errorf("%v", err)
	}
	o.Store = nil
	if _, err := NewPersistedWriter(t.Context(), o); err == nil {
		t.Error("no store was taken")
	}
}

// An owner's list that cannot be had yet takes nothing away.
func TestPersistedWriterWaitsForTheOwnList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bucket := &oneObject{}
		list, gone := []byte(nil), errors.New("gone")
		w, err := NewPersistedWriter(t.Context(), PersistedOptions{
			Store: bucket, Key: "k", Entries: func() ([]manifest.Entry, bool) { return []manifest.Entry{entryOf("{hot}")}, true },
			Own: func(context.Context) ([]byte, error) { return list, gone },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.pass(t.Context(), true); !errors.Is(err, gone) || bucket.body != nil {
			t.Fatalf("%v; wrote %q", err, bucket.body)
		}
		list, gone = persistedList(t, "{own}"), nil
		if err := w.pass(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if m, _ := bucket.read(t); len(m.Operations) != 2 {
			t.Fatalf("wrote %+v", m)
		}
	})
}

func FuzzDecodePersisted(f *testing.F) {
	f.Add(persistedList(f, "{a}"))
	f.Add([]byte(`{"version":1,"operations":{"a":"{a}"}}`))
	f.Add([]byte(`{"a":{"b":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		ops, err := DecodePersisted(data)
		if err != nil && !errors.Is(err, ErrPersisted) {
			t.Fatalf("%v", err)
		}
		for id, text := range ops {
			if persistedID(text) != id {
				t.Fatalf("%q is not the hash of its text", id)
			}
		}
	})
}
