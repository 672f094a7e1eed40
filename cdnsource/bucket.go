package cdnsource

import (
	"context"
	"errors"
	"time"
)

// Outcomes of a bucket's calls that a caller acts on. An implementation wraps
// exactly one of them, or none when the error is of another kind.
var (
	// ErrNotFound says that the key is not there.
	ErrNotFound = errors.New("not found")
	// ErrNotModified says that the object still has the ETag that the caller knows.
	ErrNotModified = errors.New("not modified")
	// ErrConflict says that a condition did not hold: somebody else wrote.
	ErrConflict = errors.New("conflict")
	// ErrDenied says that the bucket refused the credentials.
	ErrDenied = errors.New("access denied")
	// ErrNoBucket says that the bucket itself does not exist.
	ErrNoBucket = errors.New("no such bucket")
	// ErrAmbiguous says that no usable answer came: a write may or may not
	// have been applied, a read may work when tried again.
	ErrAmbiguous = errors.New("no usable answer")
	// ErrTooLarge says that an object exceeds the limit of the caller.
	ErrTooLarge = errors.New("too large")
)

// Bucket is what the store needs of an object storage: single objects,
// conditional writes, lists in key order. Every method obeys the context and
// has a deadline of its own.
type Bucket interface {
	// Get reads one object of at most o.Limit bytes.
	Get(ctx context.Context, key string, o GetOptions) (Object, error)
	// Put writes one object under the conditions of o and returns its ETag.
	// A condition that does not hold is ErrConflict, an If-Match on an absent
	// key included. After ErrAmbiguous the write may have been applied, and
	// after ErrConflict too: a write whose answer got lost and that was sent
	// again conflicts with itself.
	Put(ctx context.Context, key string, body []byte, o PutOptions) (etag string, err error)
	// List returns up to limit entries whose key starts with prefix and sorts
	// behind after. Fewer than limit does not mean that there are no more;
	// none does.
	List(ctx context.Context, prefix, after string, limit int) ([]Listed, error)
	// Delete removes a key; an absent one is no error.
	Delete(ctx context.Context, key string) error
}

// GetOptions bound and condition a read.
type GetOptions struct {
	Limit       int64  // largest body accepted, required
	IfNoneMatch string // ETag that the caller holds: ErrNotModified when it is still the same
}

// PutOptions condition a write and say how it may be cached.
type PutOptions struct {
	IfNoneMatch     bool   // write only when the key is absent
	IfMatch         string // write only over the object with this ETag
	ContentType     string
	CacheControl    string
	ContentEncoding string
}

// Object is one object as it was read.
type Object struct {
	Body     []byte
	ETag     string // without quotes
	Modified time.Time
}

// Listed is one entry of a list.
type Listed struct {
	Key      string
	Size     int64
	Modified time.Time
}
