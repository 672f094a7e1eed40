package cdnsource

import (
	"strings"
	"testing"
	"time"
)

func FuzzDecodePointer(f *testing.F) {
	p := Pointer{Format: PointerFormat, Sequence: 42, Writer: "w", Nonce: "n", SHA256: strings.Repeat("0a", 32),
		Hold: true, MovedAt: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
	body, err := p.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add(body[:len(body)/2])
	f.Add([]byte(`{"format":"planwarm-pointer/v2","sequence":1}`))
	f.Add([]byte(`{"sequence":-1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePointer(body)
		if err != nil {
			return
		}
		again, err := p.encode()
		if err != nil {
			t.Fatalf("a pointer that was decoded cannot be encoded: %v", err)
		}
		back, err := decodePointer(again)
		if err != nil || back.Sequence != p.Sequence || back.SHA256 != p.SHA256 || back.Hold != p.Hold || back.Nonce != p.Nonce {
			t.Fatalf("round trip: %+v, %v", back, err)
		}
	})
}
