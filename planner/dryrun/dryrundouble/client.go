package dryrundouble

import (
	"net/http"
	"net/http/httptest"
)

// Client carries requests to a handler without a network, so that time can be
// that of a test's bubble.
func Client(h http.Handler) *http.Client { return &http.Client{Transport: inProcess{h}} }

type inProcess struct{ h http.Handler }

// RoundTrip waits for the handler, which sees that the client is gone.
func (t inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		t.h.ServeHTTP(w, r)
		done <- w
	}()
	select {
	case w := <-done:
		return w.Result(), nil
	case <-r.Context().Done():
		<-done
		return nil, r.Context().Err()
	}
}
