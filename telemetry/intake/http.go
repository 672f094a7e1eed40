package intake

import (
	"crypto/sha256"
	"crypto/subtle"
	"mime"
	"net/http"
	"strings"
	"time"
)

// slowBody is how long a sender may take over one body, so that slow ones
// cannot hold the memory set aside for bodies.
const slowBody = 30 * time.Second

// Token is the bearer token that a sender has to show. The zero Token lets
// everybody in.
type Token struct {
	set bool
	sum [sha256.Size]byte
}

// NewToken returns the Token for a secret; an empty one lets everybody in.
func NewToken(secret string) Token {
	return Token{set: secret != "", sum: sha256.Sum256([]byte(secret))}
}

// Allows tells whether an Authorization header shows the token. The time it
// takes tells nothing of the secret, its length included.
func (t Token) Allows(authorization string) bool {
	if !t.set {
		return true
	}
	scheme, secret, _ := strings.Cut(authorization, " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1
}

// MediaType is the media type of a request without its parameters, in lower
// case; "" when the header is missing or malformed.
func MediaType(req *http.Request) string {
	media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// ReadRequest reads the body of a request by its Content-Encoding, within
// the bounds and within a time.
func (r *Reader) ReadRequest(w http.ResponseWriter, req *http.Request) (*Body, error) {
	var compressed bool
	switch strings.ToLower(strings.TrimSpace(req.Header.Get("Content-Encoding"))) {
	case "", "identity":
	case "gzip":
		compressed = true
	default:
		return nil, ErrEncoding
	}
	if req.ContentLength > r.max {
		return nil, ErrTooLarge
	}
	// A writer without deadlines is one without a connection.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(slowBody))
	return r.Read(req.Body, compressed)
}
