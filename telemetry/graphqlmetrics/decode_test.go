package graphqlmetrics

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/telemetry"
	"google.golang.org/protobuf/encoding/protowire"
)

const captures = "../../testdata/cosmo/"

var folders = []string{"main", "small", "defaults", "content", "warm"}

func read(t testing.TB, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(file, ".gz") {
		return b
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return b
}

func bodies(t testing.TB, folder string) (out [][]byte) {
	t.Helper()
	files, err := filepath.Glob(captures + folder + "/graphqlmetrics/*.pb*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures in %s: %v", folder, err)
	}
	slices.Sort(files)
	for _, f := range files {
		out = append(out, read(t, f))
	}
	return out
}

// document is one operation of documents.json.
type document struct {
	Hash, Name, Document string
	Error                bool
}

// TestDecodeEqualsDocuments compares every captured body with what was decoded
// of it by the router's own generated code.
func TestDecodeEqualsDocuments(t *testing.T) {
	for _, folder := range folders {
		var docs []struct {
			document
			Requests uint64
		}
		if err := json.Unmarshal(read(t, captures+folder+"/graphqlmetrics/documents.json"), &docs); err != nil {
			t.Fatal(err)
		}
		want, got := map[document]uint64{}, map[document]uint64{}
		for _, d := range docs {
			want[d.document] += d.Requests
		}
		for _, body := range bodies(t, folder) {
			u, err := Decode(body, Protobuf)
			if err != nil || u.Rejected != 0 {
				t.Fatalf("%s: %v, %+v", folder, err, u)
			}
			for _, r := range u.Requests {
				got[document{r.Op.Hash, r.Op.Name, r.Document, r.Failed}] += r.Count
				if r.Op.Client.Name == "" || r.Op.Type == "" {
					t.Errorf("%s: %+v", folder, r.Op)
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d operations, want %d", folder, len(got), len(want))
			for d, n := range want {
				if got[d] != n {
					t.Errorf("  %s %s: %d requests, want %d", d.Hash, d.Name, got[d], n)
				}
			}
		}
	}
}

// TestRequestsEqualTruth: what is left without the failed is what was planned.
func TestRequestsEqualTruth(t *testing.T) {
	var doc struct {
		Operations map[string]struct {
			Requests uint64
			Type     string
			Clients  map[string]uint64
		}
	}
	if err := json.Unmarshal(read(t, captures+"truth.json"), &doc); err != nil {
		t.Fatal(err)
	}
	counts, clients, types := map[string]uint64{}, map[string]map[string]uint64{}, map[string]string{}
	for _, body := range bodies(t, "main") {
		u, err := Decode(body, Protobuf)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range u.Requests {
			if r.Failed {
				continue
			}
			counts[r.Op.Hash] += r.Count
			types[r.Op.Hash] = r.Op.Type
			if clients[r.Op.Hash] == nil {
				clients[r.Op.Hash] = map[string]uint64{}
			}
			clients[r.Op.Hash][r.Op.Client.Name+"@"+r.Op.Client.Version] += r.Count
		}
	}
	if len(counts) != len(doc.Operations) {
		t.Errorf("%d operations, want %d", len(counts), len(doc.Operations))
	}
	for hash, w := range doc.Operations {
		if counts[hash] != w.Requests || types[hash] != w.Type || !reflect.DeepEqual(clients[hash], w.Clients) {
			t.Errorf("operation %s: %d requests of %s by %v, want %+v", hash, counts[hash], types[hash], clients[hash], w)
		}
	}
}

// asJSON writes requests as the router's JSON would.
func asJSON(rs []telemetry.Request) []byte {
	var list []any
	for _, r := range rs {
		list = append(list, map[string]any{
			"SchemaUsage": map[string]any{
				"RequestDocument":  r.Document,
				"TypeFieldMetrics": []any{map[string]any{"Path": []string{"a"}, "Count": "1"}},
				"OperationInfo":    map[string]any{"Hash": r.Op.Hash, "Name": r.Op.Name, "Type": strings.ToUpper(r.Op.Type)},
				"ClientInfo":       map[string]any{"Name": r.Op.Client.Name, "Version": r.Op.Client.Version},
				"RequestInfo":      map[string]any{"StatusCode": 200, "error": r.Failed},
			},
			"RequestCount": r.Count,
		})
	}
	b, err := json.Marshal(map[string]any{"unknown": []any{1, map[string]any{"x": nil}}, "Aggregation": list})
	if err != nil {
		panic(err)
	}
	return b
}

func TestDecodeJSON(t *testing.T) {
	want, err := Decode(bodies(t, "main")[0], Protobuf)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(asJSON(want.Requests), JSON)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %d requests and %d rejected, want %d", err, len(got.Requests), got.Rejected, len(want.Requests))
	}
	got, err = Decode([]byte(`{"Aggregation":[{"SchemaUsage":{"OperationInfo":{"Hash":"7","Type":1}},"RequestCount":"3"},
		{"SchemaUsage":{"OperationInfo":{"Hash":"8"}},"RequestCount":2},{"SchemaUsage":null,"RequestCount":null}]}`), JSON)
	if err != nil || len(got.Requests) != 2 || got.Requests[0].Op.Type != "mutation" || got.Requests[0].Count != 3 || got.Requests[1].Op.Type != "query" {
		t.Errorf("%v, %+v", err, got)
	}
}

func field(num protowire.Number, b []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, num, protowire.BytesType), b)
}

func number(num protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, num, protowire.VarintType), n)
}

// aggregation is one of the operation with this hash.
func aggregation(hash string, count uint64) []byte {
	return slices.Concat(field(1, slices.Concat(field(1, []byte("{x}")), field(3, field(1, []byte(hash))))), number(2, count))
}

// TestBadAggregationsAreRejectedAlone: a part that is malformed in itself costs
// nothing but itself.
func TestBadAggregationsAreRejectedAlone(t *testing.T) {
	good := aggregation("7", 2)
	for name, bad := range map[string][]byte{
		"cut short":        good[:len(good)-1],
		"usage cut short":  field(1, []byte{0x0a, 0x7f}),
		"info as number":   field(1, number(3, 1)),
		"count as text":    slices.Concat(good, field(2, []byte("2"))),
		"count beyond all": aggregation("7", 1<<63),
		"hash beyond all":  aggregation(strings.Repeat("7", maxName+1), 1),
		"hash is no text":  aggregation("\xff", 1),
	} {
		u, err := Decode(slices.Concat(field(1, good), field(1, bad), field(1, good)), Protobuf)
		if err != nil || u.Rejected != 1 || len(u.Requests) != 2 || !errors.Is(u.Reason, ErrMalformed) {
			t.Errorf("%s: %v, %+v", name, err, u)
		}
	}
	u, err := Decode([]byte(`{"Aggregation":[{"RequestCount":"x"},{"SchemaUsage":[]},{"SchemaUsage":{"OperationInfo":{"Type":"ODD"}}},{"RequestCount":1}]}`), JSON)
	if err != nil || u.Rejected != 3 || len(u.Requests) != 1 {
		t.Errorf("JSON: %v, %+v", err, u)
	}
}

func TestDecodeBounds(t *testing.T) {
	body := bytes.Repeat(field(1, number(2, 1)), maxAggregations+5)
	u, err := Decode(body, Protobuf)
	if err != nil || len(u.Requests) != maxAggregations || u.Rejected != 5 || !errors.Is(u.Reason, ErrTooMany) {
		t.Errorf("%v: %d requests, %d rejected, %v", err, len(u.Requests), u.Rejected, u.Reason)
	}
	// A text too large to keep does not cost the count.
	large := slices.Concat(field(1, slices.Concat(field(1, make([]byte, maxText+1)), field(3, field(1, []byte("7"))))), number(2, 4))
	u, err = Decode(field(1, large), Protobuf)
	if err != nil || len(u.Requests) != 1 || u.Requests[0].Document != "" || u.Requests[0].Count != 4 {
		t.Errorf("%v, %+v", err, u)
	}
	if u, err = Decode(field(1, aggregation("7", 0)), Protobuf); err != nil || len(u.Requests) != 0 || u.Rejected != 0 {
		t.Errorf("a count of zero: %v, %+v", err, u)
	}
}

func TestDecodeMalformed(t *testing.T) {
	body := bodies(t, "small")[0]
	for name, c := range map[string]struct {
		enc  Encoding
		body []byte
	}{
		"truncated":       {Protobuf, body[:len(body)-1]},
		"no protobuf":     {Protobuf, []byte("<html>")},
		"number":          {Protobuf, number(1, 5)},
		"no JSON":         {JSON, []byte(`{"Aggregation":[`)},
		"empty":           {JSON, nil},
		"array":           {JSON, []byte(`[]`)},
		"list is no list": {JSON, []byte(`{"Aggregation":{}}`)},
		"too deep":        {JSON, []byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000))},
	} {
		if u, err := Decode(c.body, c.enc); !errors.Is(err, ErrMalformed) || len(u.Requests) != 0 {
			t.Errorf("%s: %v, %+v", name, err, u)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(slices.Concat(field(1, aggregation("7", 2)), field(1, aggregation("8", 1))), false)
	f.Add([]byte(`{"Aggregation":[{"SchemaUsage":{"RequestDocument":"{x}","OperationInfo":{"Hash":"7","Type":"QUERY"},"RequestInfo":{"error":true}},"RequestCount":"3"}]}`), true)
	f.Fuzz(func(t *testing.T, body []byte, isJSON bool) {
		enc := Protobuf
		if isJSON {
			enc = JSON
		}
		was := bytes.Clone(body)
		u, err := Decode(body, enc)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error of no kind: %v", err)
			}
			return
		}
		clear(body) // nothing may alias it
		again, err := Decode(was, enc)
		if err != nil || len(again.Requests) != len(u.Requests) || len(u.Requests) > 0 && !reflect.DeepEqual(again.Requests, u.Requests) {
			t.Fatalf("second decoding differs: %v", err)
		}
		for _, r := range u.Requests {
			if r.Count == 0 || r.Count > maxCount || len(r.Op.Hash) > maxName || len(r.Document) > maxText {
				t.Fatalf("out of bounds: %+v", r)
			}
		}
	})
}
