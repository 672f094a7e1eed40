package telemetry

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCanonicalRunsOnceForEachText(t *testing.T) {
	var texts []string
	table := newTable(t, func(o *Options) {
		o.Canonical = func(text, name string) (Canonical, error) {
			texts = append(texts, text)
			return canonical(text, name)
		}
	})
	body := []Request{
		{Op: Operation{Hash: "1"}, Document: "{ good }", Count: 1},
		{Op: Operation{Hash: "2"}, Document: "{ bad! }", Count: 1},
		{Op: Operation{Hash: "3"}, Document: "{ failed }", Count: 1, Failed: true},
	}
	for i := range 5 {
		table.Requests(start, [32]byte{byte(i)}, body)
		table.Text(start, Operation{Hash: "1"}, "{ good }")
		table.Text(start, Operation{Hash: "2"}, "{ bad! }")
	}
	if len(texts) != 2 {
		t.Errorf("canonical ran for %q", texts)
	}
	s := table.Stats()
	if s.Operations != 2 || s.TextsRefused != 1 || s.Canonical != 2 {
		t.Errorf("%+v", s)
	}
	table.RetryTexts()
	table.Text(start, Operation{Hash: "2"}, "{ bad! }")
	if len(texts) != 3 {
		t.Errorf("canonical ran %d times after the retry", len(texts))
	}
	table.Text(start, Operation{Hash: "2"}, "{ other }")
	if u := usageOf(t, table.Usages(start, DefaultWindow), "2"); u.Text != "{ OTHER }" {
		t.Errorf("text %q", u.Text)
	}
}

func TestTextWithoutHash(t *testing.T) {
	runs := 0
	table := newTable(t, func(o *Options) {
		o.Canonical = func(text, name string) (Canonical, error) {
			runs++
			return canonical(text, name)
		}
	})
	for i, document := range []string{"{ a }", "{ A }", "{ a }", "{ b! }", "{ b! }"} {
		s := spanOf(uint64(i+1), "", time.Millisecond)
		s.Document = document
		table.Span(start, s)
	}
	table.Requests(start, [32]byte{1}, []Request{{Document: "{ a }", Count: 2}})
	table.Span(start, spanOf(100, "", time.Millisecond)) // neither hash nor text
	got := table.Usages(start, DefaultWindow)
	if len(got) != 1 || got[0].Executions != 3 || got[0].Text != "{ A }" || got[0].Hash != got[0].Key {
		t.Errorf("got %+v", got)
	}
	// { a }, { A }, { b! }, { a } once more under the name "" of the request,
	// and the text of the one operation.
	if runs != 5 {
		t.Errorf("canonical ran %d times", runs)
	}
	if s := table.Stats(); s.Malformed != 1 {
		t.Errorf("%+v", s)
	}
}

func TestTextBytesAreBounded(t *testing.T) {
	table := newTable(t, func(o *Options) { o.MaxText = 100 })
	give := func(hash string, executions, size int) {
		for i := range executions {
			table.Requests(start, [32]byte{hash[0], byte(i), byte(size)}, []Request{{Op: Operation{Hash: hash}, Count: 1}})
		}
		table.Text(start, Operation{Hash: hash}, strings.Repeat(hash, size))
	}
	give("a", 3, 40)
	give("b", 5, 40)
	give("c", 2, 40) // used less than both: no room
	if s := table.Stats(); s.TextBytes != 80 || s.TextsDropped != 1 || s.Operations != 3 {
		t.Errorf("%+v", s)
	}
	give("d", 9, 40) // used more: the least used goes, until it fits
	if s := table.Stats(); s.TextBytes != 80 || s.Operations != 2 || table.operations["a"] != nil || table.operations["d"].text == "" {
		t.Errorf("%+v", s)
	}
	give("e", 99, 200) // larger than the room for all
	if s := table.Stats(); s.TextBytes > 100 {
		t.Errorf("%+v", s)
	}
}

// Nothing but what Canonical returned is ever written.
func TestNoLiteralIsStored(t *testing.T) {
	const secret = "ada@example.com"
	table := newTable(t, func(o *Options) {
		o.Canonical = func(text, name string) (Canonical, error) {
			if strings.Contains(text, "bad") {
				return Canonical{}, errors.New("no such field")
			}
			return Canonical{Text: "{ a(x: $a) }", Key: "1"}, nil
		}
	})
	for i, text := range []string{`{ a(x: "` + secret + `") }`, `{ bad(x: "` + secret + `") }`} {
		for _, hash := range []string{"", "7", "8"} {
			s := spanOf(uint64(i*10+len(hash)+1), hash, time.Millisecond)
			s.Document = text
			table.Span(start, s)
			table.Requests(start, [32]byte{byte(i)}, []Request{{Op: s.Op, Document: text, Count: 1}})
			table.Text(start, s.Op, text)
		}
	}
	var b bytes.Buffer
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), []byte(secret)) || !bytes.Contains(b.Bytes(), []byte("{ a(x: $a) }")) {
		t.Error("the checkpoint has the literal, or not the text")
	}
	for _, u := range table.Usages(start, DefaultWindow) {
		if strings.Contains(u.Text, secret) {
			t.Error("a usage has the literal")
		}
	}
}

func TestCanonicalOutOfBoundsIsRefused(t *testing.T) {
	for name, c := range map[string]Canonical{
		"no key": {Text: "x"}, "no text": {Key: "x"}, "long key": {Text: "x", Key: strings.Repeat("x", 200)}, "long text": {Text: strings.Repeat("x", 300<<10), Key: "x"},
	} {
		table := newTable(t, func(o *Options) {
			o.Canonical = func(string, string) (Canonical, error) { return c, nil }
		})
		table.Text(start, Operation{Hash: "7"}, "{ a }")
		if s := table.Stats(); s.TextsRefused != 1 || s.TextBytes != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	table := newTable(t, nil)
	table.Text(start, Operation{Hash: "7"}, strings.Repeat("x", maxOperation+1))
	if s := table.Stats(); s.TextsRefused != 1 || s.TextBytes != 0 {
		t.Errorf("%+v", s)
	}
}
