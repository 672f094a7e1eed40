package cosmo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func testSigner(t testing.TB, o SignerOptions) *Signer {
	t.Helper()
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSigner(key, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSignerTokens(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := testSigner(t, SignerOptions{OrganizationID: "org", FederatedGraphID: "graph", Now: func() time.Time { return now }})
	token, err := s.Token()
	if err != nil {
		t.Fatal(err)
	}
	// As the router checks it: the key from the PEM, ES256 alone, expiry without leeway.
	public, err := jwt.ParseECPublicKeyFromPEM([]byte(s.PublicKey()))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(at time.Time) (jwt.MapClaims, error) {
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return public, nil },
			jwt.WithValidMethods([]string{"ES256"}), jwt.WithTimeFunc(func() time.Time { return at }))
		return claims, err
	}
	claims, err := verify(now.Add(-time.Hour)) // a router whose clock is behind
	if err != nil || claims["federated_graph_id"] != "graph" || claims["organization_id"] != "org" {
		t.Fatalf("%v, %v", claims, err)
	}
	if _, err := verify(now.Add(DefaultTokenLifetime + time.Second)); !errors.Is(err, jwt.ErrTokenExpired) {
		t.Fatalf("after its lifetime: %v", err)
	}
	other := testSigner(t, SignerOptions{})
	if public, err = jwt.ParseECPublicKeyFromPEM([]byte(other.PublicKey())); err != nil {
		t.Fatal(err)
	}
	if _, err := verify(now); !errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		t.Fatalf("with another key: %v", err)
	}
}

func TestSignerRefusesOtherKeys(t *testing.T) {
	pkcs8 := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"empty": nil, "no PEM": []byte("secret-text"), "another curve": pkcs8(p384), "RSA": pkcs8(rsaKey),
		"broken": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("secret-text")}),
	} {
		_, err := NewSigner(text, SignerOptions{})
		if !errors.Is(err, ErrKey) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "secret-text") {
			t.Errorf("%s: the error tells the text", name)
		}
	}
}
