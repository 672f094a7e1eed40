package admin

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

// Encoding is how a signature is written.
type Encoding string

// The encodings.
const (
	EncodingHex    Encoding = "hex"
	EncodingBase64 Encoding = "base64"
)

// decode returns the bytes of a signature.
func (e Encoding) decode(s string) ([]byte, bool) {
	var mac []byte
	var err error
	if e == EncodingBase64 {
		mac, err = base64.StdEncoding.DecodeString(s)
	} else {
		mac, err = hex.DecodeString(s)
	}
	return mac, err == nil && len(mac) == sha256.Size
}

// signed returns a check for an HMAC-SHA256 over the raw body.
func signed(header, prefix string, secrets func() []string, encodings ...Encoding) func(*http.Request, []byte) bool {
	return func(r *http.Request, body []byte) bool {
		values := r.Header.Values(header)
		if len(values) != 1 {
			return false
		}
		text, ok := strings.CutPrefix(values[0], prefix)
		if !ok {
			return false
		}
		for _, e := range encodings {
			if mac, ok := e.decode(text); ok && signedBy(mac, body, secrets()) {
				return true
			}
		}
		return false
	}
}

// signedBy takes the same time whichever byte differs.
func signedBy(mac, body []byte, secrets []string) bool {
	ok := false
	for _, secret := range secrets {
		if secret == "" {
			continue // a key that everybody knows
		}
		h := hmac.New(sha256.New, []byte(secret))
		h.Write(body)
		if hmac.Equal(h.Sum(nil), mac) {
			ok = true
		}
	}
	return ok
}

// knowsSecret is for a sender that signs nothing: the secret is a part of the
// path, or a bearer token.
func knowsSecret(secrets func() []string) func(*http.Request, []byte) bool {
	return func(r *http.Request, _ []byte) bool {
		given := r.PathValue("secret")
		if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); given == "" && ok && strings.EqualFold(scheme, "bearer") {
			given = strings.TrimSpace(token)
		}
		sum := sha256.Sum256([]byte(given))
		ok := false
		for _, secret := range secrets() {
			want := sha256.Sum256([]byte(secret))
			if secret != "" && subtle.ConstantTimeCompare(sum[:], want[:]) == 1 {
				ok = true
			}
		}
		return ok
	}
}

// delivery makes the identity of an event one that holds nothing of its content.
func delivery(source, identity string, body []byte, now time.Time) Delivery {
	d := Delivery{Source: source, At: now}
	content := []byte(identity)
	if identity == "" {
		content, d.Window = body, repeatWindow
	}
	sum := sha256.Sum256(content)
	d.ID = hex.EncodeToString(sum[:])
	return d
}
