package planhttp

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/planner"
)

// TestSendTellsAnExecution: whatever else is wrong with an answer, that it has
// data is told.
func TestSendTellsAnExecution(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		cut    bool // the connection ends in the middle
		want   Data
		err    error
	}{
		"data":                   {200, `{"data":{"a":1}}`, false, DataValue, nil},
		"data, then cut off":     {200, `{"data":{"a":1`, true, DataValue, nil},
		"data with a 503":        {503, `{"data":{"a":1}}`, false, DataValue, nil},
		"data with a redirect":   {307, `{"data":{"a":1}}`, false, DataValue, nil},
		"a 503":                  {503, `{"errors":[{}]}`, false, DataAbsent, planner.ErrOverloaded},
		"null, then cut off":     {200, `{"data":null,"extensions":{`, true, DataNull, planner.ErrUnavailable},
		"null":                   {200, `{"data":null}`, false, DataNull, nil},
		"a redirect":             {307, ``, false, DataAbsent, planner.ErrRefused},
		"an error of the server": {500, `{"errors":[{}]}`, false, DataAbsent, nil},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if c.cut {
					w.Header().Set("Content-Length", "1000")
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer srv.Close()
			req, err := NewRequest(t.Context(), srv.URL, planner.Request{Query: "{ a }"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Sender{Client: Client(srv.Client()), Timeout: time.Minute, MaxBody: 1 << 20, Keep: true}.Send(req)
			if !errors.Is(err, c.err) || r.Data != c.want {
				t.Fatalf("data %d, %v, want %d, %v", r.Data, err, c.want, c.err)
			}
			if r.Status != c.status || !strings.HasPrefix(c.body, string(r.Body)) {
				t.Errorf("status %d, kept %q", r.Status, r.Body)
			}
			if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("error tells the address: %v", err)
			}
		})
	}
}
