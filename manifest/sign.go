package manifest

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
)

// Sign returns m with a signature by key over its encoding without a signature.
func Sign(m Manifest, keyID string, key ed25519.PrivateKey) (Manifest, error) {
	if len(key) != ed25519.PrivateKeySize {
		return Manifest{}, errors.New("sign manifest: not an Ed25519 private key")
	}
	if keyID == "" {
		return Manifest{}, errors.New("sign manifest: no key id")
	}
	m.Signature = nil
	data, err := Encode(m)
	if err != nil {
		return Manifest{}, fmt.Errorf("sign manifest: %w", err)
	}
	m.Format = Format
	m.Signature = &Signature{Key: keyID, Ed25519: base64.StdEncoding.EncodeToString(ed25519.Sign(key, data))}
	if err := m.Validate(); err != nil {
		return Manifest{}, fmt.Errorf("sign manifest: %w", err)
	}
	return m, nil
}

// Verify checks the signature of m against the keys by id. The error wraps
// ErrUnsigned or ErrSignature. It covers what Decode understood, not the bytes
// that it came in: see Decode.
func Verify(m Manifest, keys map[string]ed25519.PublicKey) error {
	if m.Signature == nil {
		return fmt.Errorf("verify manifest: %w", ErrUnsigned)
	}
	key, ok := keys[m.Signature.Key]
	if !ok || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("verify manifest: %w: no key of this id", ErrSignature)
	}
	sig, err := base64.StdEncoding.Strict().DecodeString(m.Signature.Ed25519)
	if err != nil {
		return fmt.Errorf("verify manifest: %w: not base64", ErrSignature)
	}
	m.Signature = nil
	data, err := Encode(m)
	if err != nil {
		return fmt.Errorf("verify manifest: %w", err)
	}
	if !ed25519.Verify(key, data, sig) {
		return fmt.Errorf("verify manifest: %w", ErrSignature)
	}
	return nil
}
