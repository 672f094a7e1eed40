package hookdouble

import (
	"net/http"
	"net/http/httptest"
)

// Client returns a client whose requests all go to h, without a network: so it
// works where time is simulated.
func Client(h http.Handler) *http.Client { return &http.Client{Transport: transport{h}} }

type transport struct{ h http.Handler }

// RoundTrip answers as h does; a handler that waits looks at the request's context.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	own := r.Clone(r.Context())
	if own.Body == nil {
		own.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	t.h.ServeHTTP(rec, own)
	_ = own.Body.Close() // as a transport does
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}
