package engine

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// The bound is on what an answer unpacks to.
func TestSubgraphAnswersAreBounded(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := io.WriteString(z, strings.Repeat("x", 1<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/short" {
			io.WriteString(w, "short")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(packed.Bytes())
	}))
	t.Cleanup(server.Close)
	client := bounded(server.Client(), 64<<10)
	read := func(path string) (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept-Encoding", "gzip")
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		return string(b), err
	}
	if got, err := read("/short"); err != nil || got != "short" {
		t.Errorf("short answer %q, error %v", got, err)
	}
	var tooLarge *http.MaxBytesError
	if got, err := read("/bomb"); !errors.As(err, &tooLarge) || len(got) != 64<<10 {
		t.Errorf("%d bytes of a bomb, error %v", len(got), err)
	}
}

func TestHeaderSums(t *testing.T) {
	sums := map[uint64]string{}
	for name, h := range map[string]http.Header{
		"none": nil, "a": {"A": {"1"}}, "other value": {"A": {"2"}}, "two values": {"A": {"1", "2"}}, "two headers": {"A": {"1"}, "B": {"2"}}, "joined": {"A": {"1B"}, "": {"2"}},
	} {
		s := newSubgraphHeader(h)
		if other, taken := sums[s.HashAll()]; taken {
			t.Errorf("%s and %s have one sum", name, other)
		}
		sums[s.HashAll()] = name
		if _, sum := s.HeadersForSubgraph("x"); sum != s.HashAll() {
			t.Errorf("%s: two sums", name)
		}
	}
}
