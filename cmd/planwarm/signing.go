package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/planwarm/planwarm/manifest"
)

// errKey says that a key file holds no key of the kind that is needed.
var errKey = errors.New("not an Ed25519 key in PEM")

// verifier checks signatures with the public key in a file; nil for no file.
func verifier(path string) (func(manifest.Manifest) error, error) {
	if path == "" {
		return nil, nil
	}
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	key, ok := parsed.(ed25519.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("read verify key %s: %w", path, errKey)
	}
	keys := map[string]ed25519.PublicKey{keyID(key): key}
	return func(m manifest.Manifest) error { return manifest.Verify(m, keys) }, nil
}

// signer signs manifests with the private key in a file; nil for no file.
func signer(path string) (func(*manifest.Manifest) error, error) {
	if path == "" {
		return nil, nil
	}
	block, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("read signing key %s: %w", path, errKey)
	}
	id := keyID(key.Public().(ed25519.PublicKey))
	return func(m *manifest.Manifest) error {
		signed, err := manifest.Sign(*m, id, key)
		if err == nil {
			*m = signed
		}
		return err
	}, nil
}

func readPEM(path string) (*pem.Block, error) {
	text, err := readSecret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, fmt.Errorf("read key %s: %w", path, errKey)
	}
	return block, nil
}

// keyID names a public key by the start of its hash.
func keyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}
