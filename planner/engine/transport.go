package engine

import (
	"maps"
	"net/http"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// MaxSubgraphBody bounds one answer of a subgraph, after decompression.
const MaxSubgraphBody = 64 << 20

// boundedTransport ends an answer of a subgraph that is too long.
type boundedTransport struct {
	next http.RoundTripper
	most int64
}

// RoundTrip lets the standard transport ask for compression and undo it, as it
// does when nobody else asks, so that the bound is on what is kept in memory.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Accept-Encoding")
	response, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, t.most)
	return response, nil
}

// bounded is client with its answers bounded.
func bounded(client *http.Client, most int64) *http.Client {
	c := *client
	next := c.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	c.Transport = boundedTransport{next: next, most: most}
	return &c
}

// subgraphHeader sends one header to every subgraph.
type subgraphHeader struct {
	header http.Header
	sum    uint64
}

func newSubgraphHeader(header http.Header) subgraphHeader {
	h := xxhash.New()
	for _, name := range slices.Sorted(maps.Keys(header)) {
		h.WriteString(name)
		for _, value := range header[name] {
			h.WriteString("\x00" + value)
		}
		h.WriteString("\x01")
	}
	return subgraphHeader{header: header, sum: h.Sum64()}
}

// HeadersForSubgraph is called for each fetch. Equal fetches that overlap are
// made once when their sums are equal too.
func (s subgraphHeader) HeadersForSubgraph(string) (http.Header, uint64) {
	return s.header.Clone(), s.sum
}

// HashAll stands for the headers of all subgraphs.
func (s subgraphHeader) HashAll() uint64 { return s.sum }
