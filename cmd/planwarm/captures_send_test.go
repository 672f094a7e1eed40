package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// request is a captured request, as its meta file has it.
type request struct {
	file   string
	grpc   bool
	path   string
	header map[string]string
	body   []byte
}

// requests reads the captured requests of folders such as main/traces.
func requests(t testing.TB, folders ...string) (out []request) {
	t.Helper()
	for _, folder := range folders {
		for _, file := range bodies(t, folder) {
			out = append(out, readRequest(t, file))
		}
	}
	return out
}

func readRequest(t testing.TB, file string) request {
	t.Helper()
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	base, _, _ := strings.Cut(filepath.Base(file), ".")
	meta, err := os.ReadFile(filepath.Join(filepath.Dir(file), base+".meta.json"))
	if os.IsNotExist(err) {
		meta, err = os.ReadFile(filepath.Join(filepath.Dir(file), "all.meta.json"))
	}
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Path    string            `json:"path"`
		Headers map[string]string `json:"headers"`
	}
	if err := json.Unmarshal(meta, &m); err != nil {
		t.Fatal(err)
	}
	r := request{file: file, path: m.Path, header: map[string]string{}, body: body}
	for k, v := range m.Headers {
		r.header[http.CanonicalHeaderKey(k)] = v
	}
	if r.grpc = r.header["Content-Type"] == "application/grpc"; r.grpc {
		if strings.HasSuffix(file, ".gz") {
			r.body = gunzip(t, body)
		}
		return r
	}
	// The client adds these itself; a small body is kept unpacked.
	delete(r.header, "Accept-Encoding")
	if !strings.HasSuffix(file, ".gz") {
		delete(r.header, "Content-Encoding")
	}
	return r
}

// send sends requests to the sidecar, each of which has to be accepted.
func (s *sidecar) send(rs ...request) {
	s.t.Helper()
	var conn *grpc.ClientConn
	for _, r := range rs {
		if !r.grpc {
			if status, body := s.post(r); status != http.StatusOK {
				s.t.Fatalf("%s: status %d: %s", r.file, status, body)
			}
			continue
		}
		if conn == nil {
			var err error
			if conn, err = s.dial(); err != nil {
				s.t.Fatal(err)
			}
			defer func(c *grpc.ClientConn) { _ = c.Close() }(conn) // nothing is under way
		}
		if err := export(s.t.Context(), conn, r); err != nil {
			s.t.Fatalf("%s: %v", r.file, err)
		}
	}
}

// post sends a request to the listener for OTLP over HTTP.
func (s *sidecar) post(r request) (int, []byte) {
	s.t.Helper()
	return s.do(http.MethodPost, "http://"+s.addresses["otlp http"]+r.path, r.header, r.body)
}

func (s *sidecar) dial() (*grpc.ClientConn, error) {
	return grpc.NewClient(s.addresses["otlp grpc"], grpc.WithTransportCredentials(insecure.NewCredentials()))
}

// export sends a message as it was captured.
func export(ctx context.Context, conn *grpc.ClientConn, r request) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var answer []byte
	return conn.Invoke(ctx, r.path, r.body, &answer, grpc.ForceCodec(bytesCodec{}))
}

// bytesCodec sends messages that are encoded already.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("marshal message: %T is no bytes", v)
	}
	return b, nil
}

func (bytesCodec) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("unmarshal message: %T is no bytes", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

func (bytesCodec) Name() string { return "proto" }

// shuffled returns the requests in another order, each of the first half of
// that order once more somewhere.
func shuffled(rs []request, seed uint64) []request {
	r := rand.New(rand.NewPCG(seed, seed))
	out := append([]request(nil), rs...)
	swap := func(i, j int) { out[i], out[j] = out[j], out[i] }
	r.Shuffle(len(out), swap)
	out = append(out, out[:len(out)/2]...)
	r.Shuffle(len(out), swap)
	return out
}
