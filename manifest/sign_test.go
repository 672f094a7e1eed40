package manifest

import (
	"crypto/ed25519"
	"errors"
	"testing"
)

func TestSignVerify(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	other := ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), 1))
	keys := map[string]ed25519.PublicKey{
		"a": key.Public().(ed25519.PublicKey), "b": other.Public().(ed25519.PublicKey), "short": {1, 2},
	}
	signed, err := Sign(fullManifest(), "a", key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := Encode(signed)
	if err != nil {
		t.Fatal(err)
	}
	back, err := DecodeBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(back, keys); err != nil {
		t.Errorf("after a round trip: %v", err)
	}
	again, err := Sign(back, "a", key)
	if err != nil || *again.Signature != *signed.Signature {
		t.Errorf("signing what is signed: %+v, %v", again.Signature, err)
	}

	tests := []struct {
		name   string
		change func(*Manifest)
		want   error
	}{
		{"unsigned", func(m *Manifest) { m.Signature = nil }, ErrUnsigned},
		{"unknown key", func(m *Manifest) { m.Signature.Key = "c" }, ErrSignature},
		{"key of another", func(m *Manifest) { m.Signature.Key = "b" }, ErrSignature},
		{"key that is none", func(m *Manifest) { m.Signature.Key = "short" }, ErrSignature},
		{"not base64", func(m *Manifest) { m.Signature.Ed25519 = "*" }, ErrSignature},
		{"too short", func(m *Manifest) { m.Signature.Ed25519 = "AAAA" }, ErrSignature},
		{"sequence", func(m *Manifest) { m.Sequence++ }, ErrSignature},
		{"graph", func(m *Manifest) { m.Graph.Name = "other" }, ErrSignature},
		{"text", func(m *Manifest) { m.Operations[0].Request.Query += " " }, ErrSignature},
		{"order", func(m *Manifest) { m.Operations[0], m.Operations[1] = m.Operations[1], m.Operations[0] }, ErrSignature},
		{"invalid", func(m *Manifest) { m.Operations[0].Request.Query = "" }, ErrInvalid},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := DecodeBytes(data)
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&m)
			if err := Verify(m, keys); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	if _, err := Sign(fullManifest(), "a", key[:5]); err == nil {
		t.Error("signed with a broken key")
	}
	if _, err := Sign(fullManifest(), "", key); err == nil {
		t.Error("signed without a key id")
	}
	if _, err := Sign(Manifest{}, "a", key); !errors.Is(err, ErrInvalid) {
		t.Errorf("signed an invalid manifest: %v", err)
	}
}
