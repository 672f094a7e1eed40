package controlplane

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/planwarm/planwarm/planner/cosmo"
)

const graphToken = "graph-token-for-tests"

func newControlPlane(t testing.TB, key func() (string, error)) http.Handler {
	t.Helper()
	h, err := New(Options{PublicKey: func(token string) (string, error) {
		if token != graphToken {
			return "", fmt.Errorf("find graph: %w", ErrUnknown)
		}
		return key()
	}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func publicKey(t testing.TB) string {
	t.Helper()
	key, err := cosmo.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := cosmo.NewSigner(key, cosmo.SignerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.PublicKey()
}

func brotlied(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := brotli.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func call(h http.Handler, method, path string, header map[string]string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRegistration(t *testing.T) {
	key := publicKey(t)
	h := newControlPlane(t, func() (string, error) { return key, nil })
	for name, c := range map[string]struct {
		contentType, encoding string
		body                  []byte
	}{
		"as a router sends it":   {"application/proto", "br", brotlied(t, nil)},
		"with a field to come":   {"application/proto", "br", brotlied(t, []byte("\x0a\x01a"))},
		"gzip":                   {"application/proto", "gzip", zipped(t, nil)},
		"plain":                  {"application/proto", "", nil},
		"JSON":                   {"application/json", "", []byte("{}")},
		"JSON, charset, brotli":  {"application/json; charset=utf-8", "br", brotlied(t, []byte("{}"))},
		"identity, upper letter": {"Application/Proto", "Identity", nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := call(h, http.MethodPost, RegisterPath,
				map[string]string{"Authorization": "Bearer " + graphToken, "Content-Type": c.contentType, "Content-Encoding": c.encoding}, c.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if strings.HasPrefix(strings.ToLower(c.contentType), "application/json") {
				checkJSON(t, w, key)
				return
			}
			checkProto(t, w, key)
		})
	}
}

func checkJSON(t *testing.T, w *httptest.ResponseRecorder, key string) {
	t.Helper()
	want, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := w.Body.String(), `{"response":{"code":"OK"},"registrationInfo":{"accountLimits":{"traceSamplingRate":1},"graphPublicKey":`+string(want)+`}}`; got != want {
		t.Errorf("answer\n%s\nwant\n%s", got, want)
	}
}

// checkProto writes the expected message with another encoder.
func checkProto(t *testing.T, w *httptest.ResponseRecorder, key string) {
	t.Helper()
	var limits, info, want []byte
	limits = protowire.AppendFixed32(protowire.AppendTag(nil, 1, protowire.Fixed32Type), 0x3f800000) // 1.0
	info = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), limits)
	info = protowire.AppendString(protowire.AppendTag(info, 2, protowire.BytesType), key)
	response := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 0)
	want = protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), response)
	want = protowire.AppendBytes(protowire.AppendTag(want, 2, protowire.BytesType), info)
	if got := w.Body.Bytes(); !bytes.Equal(got, want) {
		t.Errorf("answer\n%x\nwant\n%x", got, want)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/proto" {
		t.Errorf("content type %q", ct)
	}
}

// TestRefusals: whatever comes, no answer makes a router wait or end.
func TestRefusals(t *testing.T) {
	good := map[string]string{"Authorization": "Bearer " + graphToken, "Content-Type": "application/proto", "Content-Encoding": "br"}
	with := func(name, value string) map[string]string {
		h := map[string]string{}
		for k, v := range good {
			h[k] = v
		}
		h[name] = value
		return h
	}
	empty, key := brotlied(t, nil), publicKey(t)
	bomb := brotlied(t, make([]byte, 4<<20))
	if len(bomb) > maxBody {
		t.Fatalf("the bomb has %d bytes", len(bomb))
	}
	for name, c := range map[string]struct {
		method, path string
		header       map[string]string
		body         []byte
		key          string
		keyErr       error
		status       int
		code         string
	}{
		"another method of the service": {http.MethodPost, ServicePath + "GetLatestValidRouterConfig", good, empty, key, nil, 404, codeUnimplemented},
		"GET":                           {http.MethodGet, RegisterPath, good, nil, key, nil, 405, codeUnimplemented},
		"no token":                      {http.MethodPost, RegisterPath, with("Authorization", ""), empty, key, nil, 401, codeUnauthenticated},
		"another token":                 {http.MethodPost, RegisterPath, with("Authorization", "Bearer other"), empty, key, nil, 401, codeUnauthenticated},
		"a long token":                  {http.MethodPost, RegisterPath, with("Authorization", "Bearer "+strings.Repeat("a", maxAuthorization)), empty, key, nil, 401, codeUnauthenticated},
		"another media type":            {http.MethodPost, RegisterPath, with("Content-Type", "text/html"), empty, key, nil, 415, codeInvalid},
		"another encoding":              {http.MethodPost, RegisterPath, with("Content-Encoding", "zstd"), empty, key, nil, 400, codeInvalid},
		"not brotli":                    {http.MethodPost, RegisterPath, good, []byte("not brotli at all"), key, nil, 400, codeInvalid},
		"not gzip":                      {http.MethodPost, RegisterPath, with("Content-Encoding", "gzip"), []byte("no"), key, nil, 400, codeInvalid},
		"a brotli bomb":                 {http.MethodPost, RegisterPath, good, bomb, key, nil, 400, codeInvalid},
		"not protobuf":                  {http.MethodPost, RegisterPath, good, brotlied(t, []byte{0xff}), key, nil, 400, codeInvalid},
		"not JSON":                      {http.MethodPost, RegisterPath, with("Content-Type", "application/json"), brotlied(t, []byte("{")), key, nil, 400, codeInvalid},
		"a key that is none":            {http.MethodPost, RegisterPath, good, empty, "no key", nil, 400, codePrecondition},
		"no key":                        {http.MethodPost, RegisterPath, good, empty, "", nil, 400, codePrecondition},
		"a key that cannot be read":     {http.MethodPost, RegisterPath, good, empty, "", errors.New("read key: gone"), 400, codePrecondition},
	} {
		t.Run(name, func(t *testing.T) {
			h := newControlPlane(t, func() (string, error) { return c.key, c.keyErr })
			w := call(h, c.method, c.path, c.header, c.body)
			var said struct{ Code, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || said.Code != c.code || said.Message == "" {
				t.Fatalf("status %d, code %q: %s; want %d, %s", w.Code, said.Code, said.Message, c.status, c.code)
			}
			if strings.Contains(said.Message, "gone") || strings.Contains(said.Message, graphToken) {
				t.Errorf("the answer tells too much: %s", said.Message)
			}
		})
	}
	if _, err := New(Options{}); err == nil {
		t.Error("a control plane without keys was made")
	}
}

func FuzzRegister(f *testing.F) {
	f.Add("application/proto", "br", brotlied(f, nil))
	f.Add("application/proto", "gzip", zipped(f, []byte("\x0a\x01a")))
	f.Add("application/json", "", []byte("{}"))
	f.Add("application/proto", "", []byte{0xff})
	key := publicKey(f)
	h := newControlPlane(f, func() (string, error) { return key, nil })
	f.Fuzz(func(t *testing.T, contentType, encoding string, body []byte) {
		w := call(h, http.MethodPost, RegisterPath,
			map[string]string{"Authorization": "Bearer " + graphToken, "Content-Type": contentType, "Content-Encoding": encoding}, body)
		if w.Code >= 500 || w.Code == http.StatusTooManyRequests {
			t.Fatalf("status %d makes a router wait", w.Code)
		}
		if _, err := io.ReadAll(w.Body); err != nil {
			t.Fatal(err)
		}
		if w.Code == http.StatusOK && w.Header().Get("Content-Type") != typeProto && w.Header().Get("Content-Type") != typeJSON {
			t.Fatalf("content type %q", w.Header().Get("Content-Type"))
		}
	})
}
