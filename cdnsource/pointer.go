package cdnsource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// PointerFormat is the version of the pointer object.
const PointerFormat = "planwarm-pointer/v1"

// maxPointerBytes bounds a pointer before it is read.
const maxPointerBytes = 4 << 10

// ErrCorrupt says that an object of ours does not hold what it must.
var ErrCorrupt = errors.New("corrupt object")

// Pointer is latest.json: which version is in force.
type Pointer struct {
	Format   string    `json:"format"`
	Sequence uint64    `json:"sequence"`
	Writer   string    `json:"writer"` // nonce of the publication that claimed the version
	SHA256   string    `json:"sha256"` // of the version's bytes, hex
	Hold     bool      `json:"hold,omitempty"`
	Nonce    string    `json:"nonce"` // of this write: equal content never has an equal ETag
	MovedAt  time.Time `json:"movedAt"`

	// ETag is that of the object it was read from; empty for a pointer that is not written yet.
	ETag string `json:"-"`
}

// encode returns the bytes of a pointer.
func (p Pointer) encode() ([]byte, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("encode pointer: %w", err)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode pointer: %w", err)
	}
	return append(body, '\n'), nil
}

// decodePointer reads a pointer and validates it. Fields that it does not know are ignored.
func decodePointer(body []byte) (Pointer, error) {
	if len(body) > maxPointerBytes {
		return Pointer{}, fmt.Errorf("decode pointer: %w", ErrTooLarge)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	var p Pointer
	if err := dec.Decode(&p); err != nil {
		return Pointer{}, fmt.Errorf("decode pointer: %w: no valid JSON", ErrCorrupt)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Pointer{}, fmt.Errorf("decode pointer: %w: data after the document", ErrCorrupt)
	}
	if err := p.validate(); err != nil {
		return Pointer{}, fmt.Errorf("decode pointer: %w", err)
	}
	return p, nil
}

func (p Pointer) validate() error {
	switch {
	case p.Format != PointerFormat:
		return fmt.Errorf("%w: unknown pointer format", ErrCorrupt)
	case p.Sequence == 0:
		return fmt.Errorf("%w: pointer without a sequence", ErrCorrupt)
	case !isHex(p.SHA256, 64):
		return fmt.Errorf("%w: pointer without a SHA-256", ErrCorrupt)
	case len(p.Writer) > maxNonceLen || len(p.Nonce) > maxNonceLen:
		return fmt.Errorf("%w: pointer with an oversized nonce", ErrCorrupt)
	}
	return nil
}

func isHex(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}
