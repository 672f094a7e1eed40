package intake

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
)

func packed(t *testing.T, plain []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadBounds(t *testing.T) {
	const limit = 100_000
	exact, over := bytes.Repeat([]byte("a"), limit), bytes.Repeat([]byte("a"), limit+1)
	broken := errors.New("connection reset")
	cases := []struct {
		name       string
		src        io.Reader
		compressed bool
		want       error
		size       int
	}{
		{"empty", strings.NewReader(""), false, nil, 0},
		{"of just the limit", bytes.NewReader(exact), false, nil, limit},
		{"of the limit, a byte at a time", iotest.OneByteReader(bytes.NewReader(exact)), false, nil, limit},
		{"one byte over", bytes.NewReader(over), false, ErrTooLarge, 0},
		{"gzip of just the limit", bytes.NewReader(packed(t, exact)), true, nil, limit},
		{"gzip of one byte over", bytes.NewReader(packed(t, over)), true, ErrTooLarge, 0},
		{"gzip bomb", bytes.NewReader(packed(t, make([]byte, 100*limit))), true, ErrTooLarge, 0},
		{"not gzip", strings.NewReader("no gzip at all"), true, ErrGzip, 0},
		{"gzip cut short", bytes.NewReader(packed(t, exact)[:40]), true, ErrGzip, 0},
		{"empty gzip", strings.NewReader(""), true, ErrGzip, 0},
		{"two gzip members", bytes.NewReader(append(packed(t, exact[:10]), packed(t, exact[:5])...)), true, nil, 15},
		{"sender breaks off", io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)), false, broken, 0},
		{"sender breaks off in gzip", io.MultiReader(bytes.NewReader(packed(t, exact)[:40]), iotest.ErrReader(broken)), true, broken, 0},
	}
	r := NewReader(limit)
	whole := r.free.Load()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b, err := r.Read(c.src, c.compressed)
			if !errors.Is(err, c.want) {
				t.Fatalf("error %v, want %v", err, c.want)
			}
			if err == nil {
				if len(b.Bytes) != c.size {
					t.Errorf("%d bytes, want %d", len(b.Bytes), c.size)
				}
				b.Release()
			}
			if got := r.free.Load(); got != whole {
				t.Errorf("%d bytes of the budget left, want %d", got, whole)
			}
		})
	}
}

func TestBusyUntilReleased(t *testing.T) {
	const limit = 1 << 20
	r := NewReader(limit)
	var held []*Body
	for {
		b, err := r.Read(bytes.NewReader(make([]byte, limit)), false)
		if err != nil {
			if !errors.Is(err, ErrBusy) {
				t.Fatal(err)
			}
			break
		}
		if held = append(held, b); len(held) > 100 {
			t.Fatal("no bound on bodies in flight")
		}
	}
	if len(held) == 0 {
		t.Fatal("not even one body fits")
	}
	held[0].Release()
	b, err := r.Read(strings.NewReader("small"), false)
	if err != nil {
		t.Fatalf("after a release: %v", err)
	}
	b.Release()
}

func TestToken(t *testing.T) {
	cases := []struct {
		secret, header string
		want           bool
	}{
		{"", "", true},
		{"", "Bearer whatever", true},
		{"s3cret", "Bearer s3cret", true},
		{"s3cret", "bearer s3cret", true},
		{"s3cret", "Bearer s3cre", false},
		{"s3cret", "Bearer s3crets", false},
		{"s3cret", "Basic s3cret", false},
		{"s3cret", "s3cret", false},
		{"s3cret", "Bearer ", false},
		{"s3cret", "", false},
	}
	for _, c := range cases {
		if got := NewToken(c.secret).Allows(c.header); got != c.want {
			t.Errorf("secret %q, header %q: %v, want %v", c.secret, c.header, got, c.want)
		}
	}
}

func TestReadRequest(t *testing.T) {
	r := NewReader(1000)
	request := func(encoding string, body []byte) *http.Request {
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		req.Header.Set("Content-Encoding", encoding)
		return req
	}
	for encoding, body := range map[string][]byte{"": []byte("plain"), "identity": []byte("plain"), "GZIP": packed(t, []byte("plain"))} {
		b, err := r.ReadRequest(httptest.NewRecorder(), request(encoding, body))
		if err != nil || string(b.Bytes) != "plain" {
			t.Fatalf("encoding %q: %v", encoding, err)
		}
		b.Release()
	}
	if _, err := r.ReadRequest(httptest.NewRecorder(), request("br", nil)); !errors.Is(err, ErrEncoding) {
		t.Errorf("brotli: %v, want ErrEncoding", err)
	}
	if _, err := r.ReadRequest(httptest.NewRecorder(), request("", make([]byte, 1001))); !errors.Is(err, ErrTooLarge) {
		t.Errorf("announced as too large: %v, want ErrTooLarge", err)
	}
}

func TestUnpack(t *testing.T) {
	for _, raw := range [][]byte{[]byte("text"), packed(t, []byte("text"))} {
		if got, err := Unpack(raw, 0); err != nil || string(got) != "text" {
			t.Errorf("Unpack: %q, %v", got, err)
		}
	}
	for _, raw := range [][]byte{make([]byte, 11), packed(t, make([]byte, 11))} {
		if _, err := Unpack(raw, 10); !errors.Is(err, ErrTooLarge) {
			t.Errorf("over the limit: %v, want ErrTooLarge", err)
		}
	}
}
