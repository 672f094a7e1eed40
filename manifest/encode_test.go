package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func TestEncodeGolden(t *testing.T) {
	m := fullManifest()
	m.GeneratedAt = m.GeneratedAt.In(time.FixedZone("", 3600)) // written in UTC all the same
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "manifest.json", data)
	if back, err := DecodeBytes(data); err != nil || !reflect.DeepEqual(back, fullManifest()) {
		t.Errorf("decoded %+v, %v", back, err)
	}

	data, err = EncodePins(fullPins())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "pins.json", data)
	if back, err := DecodePins(bytes.NewReader(data)); err != nil || !reflect.DeepEqual(back, fullPins()) {
		t.Errorf("decoded %+v, %v", back, err)
	}
}

func TestEncodeEmpty(t *testing.T) {
	data, err := Encode(Manifest{Graph: testGraph})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(`"operations":[]`)) {
		t.Errorf("a list that is not there would be null for its reader: %s", data)
	}
	m, err := DecodeBytes(data)
	if err != nil || m.Operations != nil || m.Format != Format {
		t.Errorf("got %+v, %v", m, err)
	}
	if data, err = EncodePins(Pins{Graph: testGraph}); err != nil || !bytes.Contains(data, []byte(`"pins":[]`)) {
		t.Errorf("got %s, %v", data, err)
	}
}

// The writer must not take a text for its own structure.
func TestEncodeHostileText(t *testing.T) {
	m := fullManifest()
	m.Writer = `"operations":null`
	m.Operations[0].Request.Query = "query { a(s: \"\\\"operations\\\":null\", t: \"\u2028\x00\n</script>\") }"
	data, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeBytes(data)
	if err != nil || !reflect.DeepEqual(back, m) {
		t.Errorf("got %+v, %v", back, err)
	}
}

func TestEncodeRefusesWhatItCouldNotRead(t *testing.T) {
	m := Manifest{Graph: testGraph}
	text := strings.Repeat("x", MaxQueryBytes)
	for i := range MaxBytes/MaxQueryBytes + 1 {
		m.Operations = append(m.Operations, Entry{
			Request:  Request{Query: text},
			Planwarm: Details{Source: SourceManual, Type: Query, PlanKey: strconv.Itoa(i)},
		})
	}
	if _, err := Encode(m); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := Encode(Manifest{Format: "planwarm/v2", Graph: testGraph}); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
	if _, err := EncodePins(Pins{Format: Format, Graph: testGraph}); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
}

// endless gives bytes for ever and counts them.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.n += len(p)
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestDecodeBoundsItsReader(t *testing.T) {
	r := &endless{}
	if _, err := Decode(r); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if r.n > MaxBytes+MaxBytes/2 {
		t.Errorf("read %d bytes", r.n)
	}
	if _, err := DecodePins(&endless{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := DecodeBytes(make([]byte, MaxBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	if _, err := Decode(broken{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	const head = `{"format":"planwarm/v1","graph":{"namespace":"default","name":"g"},"generatedAt":"2026-03-01T12:00:00Z","operations":`
	const entry = `{"request":{"query":"{a}"},"planwarm":{"source":"manual","type":"query"}}`
	tests := []struct {
		name, doc string
		want      error
		says      string
	}{
		{"nothing", "", ErrMalformed, "offset 0"},
		{"not JSON", "hello", ErrMalformed, "offset 1"},
		{"null", "null", ErrFormat, Format},
		{"list", "[]", ErrMalformed, "array"},
		{"truncated", head + `[` + entry[:20], ErrMalformed, "offset " + strconv.Itoa(len(head)+21) + ": unexpected end"},
		{"truncated in a string", head + `[{"request":{"query":"{a`, ErrMalformed, "unexpected end"},
		{"trailing data", head + `[]} {}`, ErrMalformed, "after top-level value"},
		{"another version", strings.Replace(head, "v1", "v2", 1) + `[]}`, ErrFormat, Format},
		{"another version with other types", `{"format":"planwarm/v9","graph":7}`, ErrFormat, Format},
		{"no format", `{"operations":[]}`, ErrFormat, Format},
		{"wrong type", head + `[{"request":{"query":7}}]}`, ErrMalformed, "query cannot be a number"},
		{"number out of range", head + `[{"request":{"query":"{a}"},"planwarm":{"samples":1e999}}]}`, ErrMalformed, "samples cannot be a number"},
		{"not a time", strings.Replace(head, "2026-03-01T12:00:00Z", "secret", 1) + `[]}`, ErrMalformed, "RFC 3339"},
		{"bytes that are no text", head + "[{\"request\":{\"query\":\"\xff\"}}]}", ErrMalformed, "UTF-8"},
		{"entry without request", head + `[{"planwarm":{"source":"manual","type":"query"}}]}`, ErrInvalid, "operations[0].request: no query"},
		{"request null", head + `[{"request":null,"planwarm":{"source":"manual","type":"query"}}]}`, ErrInvalid, "operations[0].request: no query"},
		{"entry null", head + `[` + entry + `,null]}`, ErrInvalid, "operations[1].request: no query"},
		// Each of these is read in one way by us and in another by the router.
		{"name in another case", head + `[{"Request":{"query":"{a}"},"planwarm":{"source":"manual","type":"query"}}]}`, ErrMalformed, "request in another case"},
		{"name that folds", head + "[{\"reque\u017ft\":{\"query\":\"{a}\"}}]}", ErrMalformed, "request in another case"},
		{"escaped name in another case", head + `[{"\u0052equest":{"query":"{a}"}}]}`, ErrMalformed, "request in another case"},
		{"name twice", head + `[],"operations":[` + entry + `]}`, ErrMalformed, "twice"},
		{"name twice, escaped", head + `[],"operation\u0073":[]}`, ErrMalformed, "twice"},
		// Small documents that would be large in memory.
		{"too many entries", head + `[` + strings.Repeat("{},", MaxEntries) + `{}]}`, ErrTooLarge, "10000 items"},
		{"too many values", head + `[{"planwarm":{"variants":[` + strings.Repeat(`{"conditions":{"a":true,"b":true}},`, 5000) + `{}]}},` +
			strings.Repeat(`{"x":[`+strings.Repeat("1,", 9000)+`1]},`, 120) + `{}]}`, ErrTooLarge, "values"},
		{"too deep", head + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, ErrTooLarge, "deep"},
		{"too many names", head + `[{"x":{` + manyNames(300) + `}}]}`, ErrTooLarge, "names"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := DecodeBytes([]byte(tt.doc))
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%q does not say %q", err, tt.says)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q repeats content", err)
			}
		})
	}
}

func TestDecodePinsRefuses(t *testing.T) {
	good, err := EncodePins(fullPins())
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		doc  string
		want error
	}{
		"nothing":      {"", ErrMalformed},
		"truncated":    {string(good[:len(good)-3]), ErrMalformed},
		"a manifest":   {`{"format":"planwarm/v1","graph":{"namespace":"a","name":"b"},"operations":[]}`, ErrFormat},
		"invalid":      {strings.Replace(string(good), "cart", "card", 1), ErrInvalid},
		"another case": {strings.Replace(string(good), `"deny"`, `"Deny"`, 1), ErrMalformed},
		"too many":     {`{"pins":[` + strings.Repeat("{},", MaxEntries) + `{}]}`, ErrTooLarge},
	} {
		if _, err := DecodePins(strings.NewReader(tt.doc)); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", name, err, tt.want)
		}
	}
}

func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"n` + strconv.Itoa(i) + `":1,`)
	}
	return strings.TrimSuffix(b.String(), ",")
}

func TestDecodeIgnoresUnknownFields(t *testing.T) {
	doc := `{"format":"planwarm/v1","graph":{"namespace":"default","name":"g","region":"eu"},"generatedAt":"2026-03-01T13:00:00+01:00",
	  "later":{"a":[1,{"b":"c"}]},
	  "operations":[{"request":{"query":"query($Query:Boolean!){a @skip(if:$Query)}","variables":{}},
	    "planwarm":{"source":"telemetry","type":"query","conditions":{"Query":true},"more":null,"variants":[]}}]}`
	m, err := DecodeBytes([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Operations[0].Planwarm; !got.Conditions["Query"] || got.Variants != nil {
		t.Errorf("got %+v", got)
	}
	if !m.GeneratedAt.Equal(testNow) || m.GeneratedAt.Location() != time.UTC {
		t.Errorf("generatedAt %v", m.GeneratedAt)
	}
}

// What the router reads: the shape that it expects, found with nothing of ours.
func TestEncodeIsReadByCosmo(t *testing.T) {
	data, err := Encode(fullManifest())
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	ops := doc["operations"].([]any)
	first := ops[0].(map[string]any)
	request := first["request"].(map[string]any)
	pq := request["extensions"].(map[string]any)["persistedQuery"].(map[string]any)
	if request["operationName"] != "Checkout" || pq["version"] != 1.0 || pq["sha256Hash"] != testSchema[7:] {
		t.Errorf("request %v", request)
	}
	if client := first["client"].(map[string]any); client["name"] != "web" || client["version"] != "3.1" {
		t.Errorf("client %v", client)
	}
	for i, op := range ops {
		if q, _ := op.(map[string]any)["request"].(map[string]any)["query"].(string); q == "" {
			t.Errorf("operations[%d] has no query", i)
		}
	}
}

func FuzzDecode(f *testing.F) {
	data, err := Encode(fullManifest())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(data[:len(data)/2])
	f.Add([]byte(`{"format":"planwarm/v1","graph":{"namespace":"a","name":"b"},"operations":[{}]}`))
	f.Add([]byte(`{"format":"planwarm/v1","graph":{"namespace":"a","name":"b"},"generatedAt":"9999-12-31T23:59:59-23:59"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := DecodeBytes(data)
		if err != nil {
			return
		}
		again, err := Encode(m)
		if errors.Is(err, ErrTooLarge) {
			return // escapes can be longer than what they stand for
		}
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		back, err := DecodeBytes(again)
		if err != nil {
			t.Fatalf("encoded, but does not decode: %v", err)
		}
		if !reflect.DeepEqual(m, back) {
			t.Fatalf("got\n%+v, want\n%+v", back, m)
		}
		if !SameContent(m, back) || !Diff(m, back).Empty() {
			t.Fatal("a manifest differs from itself")
		}
	})
}

func FuzzDecodePins(f *testing.F) {
	data, err := EncodePins(fullPins())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format":"planwarm-pins/v1","graph":{"namespace":"a","name":"b"},"pins":[{}],"deny":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := DecodePinsBytes(data)
		if err != nil {
			return
		}
		again, err := EncodePins(p)
		if errors.Is(err, ErrTooLarge) {
			return
		}
		if err != nil {
			t.Fatalf("decoded, but does not encode: %v", err)
		}
		if back, err := DecodePinsBytes(again); err != nil || !reflect.DeepEqual(p, back) {
			t.Fatalf("got %+v, %v, want %+v", back, err, p)
		}
	})
}
