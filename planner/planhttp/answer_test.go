package planhttp

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReadAnswer(t *testing.T) {
	for body, want := range map[string]Answer{
		`{"extensions":{"plan":{"kind":"QueryPlan"}}}`:                   {Plan: true, Whole: true},
		` {"extensions" : {"other":[{}],"plan":"text"} } `:               {Plan: true, Whole: true},
		`{"extensions":{"plan":null}}`:                                   {Whole: true},
		`{"extensions":{"plan":{}}}`:                                     {Whole: true},
		`{"extensions":{"plan":[]}}`:                                     {Whole: true},
		`{"extensions":{"plan":""}}`:                                     {Whole: true},
		`{"extensions":{"plan":0}}`:                                      {Plan: true, Whole: true},
		`{"extensions":{"other":{"plan":1}}}`:                            {Whole: true},
		`{"extensions":[{"plan":1}]}`:                                    {Whole: true},
		`{"extensions":"plan"}`:                                          {Whole: true},
		`{"plan":1}`:                                                     {Whole: true},
		`{"data":null,"extensions":{"plan":1}}`:                          {Data: DataNull, Plan: true, Whole: true},
		`{"extensions":{"plan":1},"data":{"a":null}}`:                    {Data: DataValue, Plan: true},
		`{"data":null,"data":[]}`:                                        {Data: DataValue},
		`{"data":{"a":`:                                                  {Data: DataValue},
		`{"errors":[{"message":"x","extensions":{"code":"A","b":[1]}}]}`: {Failed: true, Codes: []string{"A"}, Whole: true},
		`{"errors":[{"extensions":{"code":7}},{"extensions":[]},"x",{"extensions":{"code":{"code":"N"}}},{"extensions":{"code":"B"}}]}`: {
			Failed: true, Codes: []string{"B"}, Whole: true},
		`{"errors":{"code":"A"}}`:    {Failed: true, Whole: true},
		`{"errors":null}`:            {Whole: true},
		`{"errors":[]}`:              {Whole: true},
		`{"extensions":{"plan":1}}x`: {Plan: true},
		`{"extensions":{"plan":{"a"`: {Plan: true},
		`{"extensions":{"plan":{`:    {},
		`[{"data":1}]`:               {},
		`<html>`:                     {},
		``:                           {},
		`{"a":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `,"data":null}`: {},
	} {
		got := ReadAnswer(strings.NewReader(body), 1<<20, "plan")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%.80s: %+v, want %+v", body, got, want)
		}
	}
}

// TestReadAnswerStopsAtItsBound: what was seen before it counts, the rest does not.
func TestReadAnswerStopsAtItsBound(t *testing.T) {
	body := `{"extensions":{"plan":["` + strings.Repeat("x", 500) + `","` + strings.Repeat("x", 1000) + `"]}}`
	read := 0
	counted := readerFunc(func(r io.Reader) func([]byte) (int, error) {
		return func(p []byte) (int, error) { n, err := r.Read(p); read += n; return n, err }
	}(strings.NewReader(body)))
	if got := ReadAnswer(counted, 1000, "plan"); !got.Plan || !got.Cut || got.Whole || got.Err != nil || read > 1001 {
		t.Errorf("%+v, %d bytes read", got, read)
	}
	if got := ReadAnswer(strings.NewReader(body), int64(len(body)), "plan"); !got.Plan || !got.Whole {
		t.Errorf("exactly the bound: %+v", got)
	}
	broken := errors.New("connection reset")
	got := ReadAnswer(io.MultiReader(strings.NewReader(`{"extensions":{"plan":1}}`), iotest.ErrReader(broken)), 1000, "plan")
	if !errors.Is(got.Err, broken) || got.Whole {
		t.Errorf("broken connection: %+v", got)
	}
}

// TestReadResponseCutByItsTime: a body that seems to end when the time is up
// did not come whole. What came before that counts, and a whole answer does.
func TestReadResponseCutByItsTime(t *testing.T) {
	for body, want := range map[string]Answer{
		`{"data":null,"extensions":{`: {Data: DataNull, Err: context.Canceled},
		``:                            {Err: context.Canceled},
		`{"data":{`:                   {Data: DataValue}, // read no further
		`{"data":null}`:               {Data: DataNull, Whole: true},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cut := io.MultiReader(strings.NewReader(body), readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }))
		if got := ReadResponse(ctx, cut, 1000, "plan"); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
		cancel()
		if got := ReadResponse(t.Context(), strings.NewReader(body), 1000, "plan"); got.Err != nil {
			t.Errorf("%s, in time: %+v", body, got)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzReadAnswer: data is never overlooked, and a plan is only found where it is.
func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		`{"extensions":{"plan":{"a":[1,{}]}}}`, `{"data":{"a":null}}`, `{"errors":[{"extensions":{"code":"A"}}],"data":null}`, `{"data":1e999}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := ReadAnswer(strings.NewReader(string(body)), 1<<20, "plan")
		var m map[string]json.RawMessage
		if json.Unmarshal(body, &m) != nil {
			if got.Whole {
				t.Fatalf("%q is no object, yet whole", body)
			}
			return
		}
		if v, ok := m["data"]; ok && string(v) != "null" && got.Data != DataValue {
			t.Fatalf("%q: data is overlooked", body)
		}
		if text := string(body); got.Plan && !strings.Contains(text, `plan`) && !strings.Contains(text, `\u`) {
			t.Fatalf("%q: a plan out of nothing", body)
		}
	})
}
