// Package intake reads what senders of telemetry post: only from those who
// may, decompressed, and within bounds that hold for one body and for all
// bodies in flight together.
package intake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
)

// What a sender is told apart by.
var (
	// ErrTooLarge is returned for a body that exceeds the bound, as sent or decompressed.
	ErrTooLarge = errors.New("body exceeds the limit")
	// ErrBusy is returned when the bodies in flight have used up the memory set
	// aside for them; the sender may try again.
	ErrBusy = errors.New("too many bodies in flight")
	// ErrGzip is returned for a body that claims to be gzip and is not, or is cut short.
	ErrGzip = errors.New("malformed gzip stream")
	// ErrEncoding is returned for a Content-Encoding other than gzip and identity.
	ErrEncoding = errors.New("unsupported content encoding")
)

const (
	// DefaultMaxBytes bounds one body, decompressed.
	DefaultMaxBytes = 64 << 20
	// inFlight is how many bodies of the largest size may be held at once. Real
	// ones are far smaller, so that hundreds fit.
	inFlight = 4
	// minBuffer is what a body starts with, maxPooled the largest buffer worth
	// keeping: one huge body must not pin its memory for ever.
	minBuffer = 64 << 10
	maxPooled = 4 << 20
)

// Reader reads bodies. It is safe for concurrent use.
type Reader struct {
	max   int64
	free  atomic.Int64
	pool  sync.Pool // *Body
	gzips sync.Pool // *gzip.Reader
}

// NewReader returns a reader of bodies of at most maxBytes, DefaultMaxBytes
// when that is not positive.
func NewReader(maxBytes int64) *Reader {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	r := &Reader{max: maxBytes}
	r.free.Store(inFlight * max(maxBytes, minBuffer))
	return r
}

// MaxBytes is the bound for one body.
func (r *Reader) MaxBytes() int64 { return r.max }

// Body is one body in a pooled buffer.
type Body struct {
	Bytes []byte
	from  *Reader
	taken int64
}

// Release gives the buffer back; Bytes and whatever aliases it are invalid afterwards.
func (b *Body) Release() {
	r := b.from
	r.free.Add(b.taken)
	b.taken = 0
	if cap(b.Bytes) <= maxPooled {
		b.Bytes = b.Bytes[:0]
		r.pool.Put(b)
	}
}

// Read reads src to its end, through gzip when compressed says so. The error
// is one of this package's, or the one of src.
func (r *Reader) Read(src io.Reader, compressed bool) (*Body, error) {
	wire := &wireReader{src: src, left: r.max}
	var plain io.Reader = wire
	if compressed {
		z, err := r.gzip(wire)
		if err != nil {
			return nil, err
		}
		defer r.gzips.Put(z)
		plain = z
	}
	b, _ := r.pool.Get().(*Body)
	if b == nil {
		b = &Body{from: r}
	}
	if err := b.fill(plain); err != nil {
		b.Release()
		if compressed && wire.err == nil && !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrBusy) {
			return nil, fmt.Errorf("%w: %w", ErrGzip, err)
		}
		if wire.err != nil {
			err = wire.err
		}
		return nil, err
	}
	return b, nil
}

func (r *Reader) gzip(wire *wireReader) (*gzip.Reader, error) {
	z, _ := r.gzips.Get().(*gzip.Reader)
	if z == nil {
		z = new(gzip.Reader)
	}
	if err := z.Reset(wire); err != nil {
		r.gzips.Put(z)
		if wire.err != nil {
			return nil, wire.err
		}
		return nil, fmt.Errorf("%w: %w", ErrGzip, err)
	}
	return z, nil
}

// fill reads plain into the buffer, which grows as bytes really come in: a
// claimed length allocates nothing.
func (b *Body) fill(plain io.Reader) error {
	r := b.from
	if !b.take(int64(cap(b.Bytes))) {
		return ErrBusy
	}
	buf := b.Bytes[:0]
	for {
		if len(buf) == cap(buf) {
			size := max(2*int64(cap(buf)), minBuffer)
			if size = min(size, r.max+1); size <= int64(cap(buf)) {
				return ErrTooLarge
			}
			if !b.take(size - int64(cap(buf))) {
				return ErrBusy
			}
			buf = append(make([]byte, 0, size), buf...)
			b.Bytes = buf
		}
		n, err := plain.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		b.Bytes = buf
		if int64(len(buf)) > r.max {
			return ErrTooLarge
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (b *Body) take(n int64) bool {
	if b.from.free.Add(-n) < 0 {
		b.from.free.Add(n)
		return false
	}
	b.taken += n
	return true
}

// wireReader bounds what is read off the wire and remembers the sender's
// error, which is not one of the compression.
type wireReader struct {
	src  io.Reader
	left int64
	err  error
}

func (w *wireReader) Read(p []byte) (int, error) {
	// One byte past the bound is asked for, to tell a body of just that size
	// from a larger one.
	if int64(len(p)) > w.left+1 {
		p = p[:w.left+1]
	}
	n, err := w.src.Read(p)
	if w.left -= int64(n); w.left < 0 {
		w.err = ErrTooLarge
		return 0, w.err
	}
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

// Unpack returns raw decompressed if it begins like gzip, else as it is, and
// refuses more than maxBytes.
func Unpack(raw []byte, maxBytes int64) ([]byte, error) {
	if maxBytes <= 0 {
		maxBytes = DefaultMaxBytes
	}
	if !bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		if int64(len(raw)) > maxBytes {
			return nil, ErrTooLarge
		}
		return raw, nil
	}
	b, err := NewReader(maxBytes).Read(bytes.NewReader(raw), true)
	if err != nil {
		return nil, err
	}
	// The reader is not used again, so its buffer is the caller's.
	return b.Bytes, nil
}
