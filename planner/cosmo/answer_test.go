package cosmo

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/planwarm/planwarm/planner/planhttp"
)

func proveText(body []byte, bound int) proof {
	return prove(planhttp.ReadAnswer(bytes.NewReader(body), int64(bound), ""))
}

// empty says whether a list of errors is null or has no items.
func empty(v json.RawMessage) bool {
	var list []json.RawMessage
	return json.Unmarshal(v, &list) == nil && len(list) == 0
}

func TestProve(t *testing.T) {
	for body, want := range map[string]proof{
		`{"data":null}`: proofHonoured,
		` { "data" : null , "errors" : [] , "extensions":{"a":1} } `: proofHonoured,
		`{"errors":null,"data":null}`:                                proofHonoured,
		`{"data":{"__typename":"Query"}}`:                            proofExecuted,
		`{"data":{"a":null}}`:                                        proofExecuted,
		`{"data":{}}`:                                                proofExecuted,
		`{"data":[]}`:                                                proofExecuted,
		`{"data":false}`:                                             proofExecuted,
		`{"data":{"a":`:                                              proofExecuted,
		`{"data":null,"data":{"a":1}}`:                               proofExecuted,
		`{"errors":[{"message":"x"}],"data":{"a":null}}`:             proofExecuted,
		`{"errors":[{"message":"x"}],"data":null}`:                   proofBoth,
		`{"data":null,"errors":"x"}`:                                 proofBoth,
		`{"errors":[{"message":"x"}]}`:                               proofErrors,
		`{"errors":[]}`:                                              proofNone,
		`{}`:                                                         proofNone,
		``:                                                           proofNone,
		`null`:                                                       proofNone,
		`[{"data":null}]`:                                            proofNone,
		`"data"`:                                                     proofNone,
		`{"data":null`:                                               proofNone,
		`{"data":null}{"data":{"a":1}}`:                              proofNone,
		`{"data":null}x`:                                             proofNone,
		`{"Data":null}`:                                              proofNone,
		`<html>`:                                                     proofNone,
		"--graphql\r\n\r\n{\"data\":null}":                           proofNone,
	} {
		if got := proveText([]byte(body), len(body)); got != want {
			t.Errorf("%s: %d, want %d", body, got, want)
		}
	}
	if got := proveText([]byte(`{"data":null}`), len(`{"data":null`)); got != proofNone {
		t.Errorf("a cut answer proves %d", got)
	}
}

// FuzzProve: an answer is honoured only when a strict decoder finds no data and
// no errors in it, and one with data is never taken for anything but executed.
func FuzzProve(f *testing.F) {
	for _, s := range []string{`{"data":null}`, `{"data":{"a":null}}`, `{"errors":[{}]}`, `{"data":null,"errors":[1]}`, `{"data":1e999}`, "{\"data\":null}\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := proveText(body, len(body))
		var m map[string]json.RawMessage
		if json.Unmarshal(body, &m) != nil {
			if got == proofHonoured {
				t.Fatalf("%q is no JSON, yet honoured", body)
			}
			return
		}
		data, has := m["data"]
		if has && string(data) != "null" && got != proofExecuted {
			t.Fatalf("%q holds data, yet %d", body, got)
		}
		if got == proofHonoured && (!has || !empty(m["errors"]) && m["errors"] != nil) {
			t.Fatalf("%q honoured", body)
		}
	})
}
