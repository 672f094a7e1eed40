package cosmo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// DefaultTokenLifetime is how long a token of a Signer is good for. A router
// checks the expiry against its own clock without any leeway.
const DefaultTokenLifetime = 5 * time.Minute

// ErrKey says that a text holds no ECDSA P-256 private key in PKCS #8 PEM.
var ErrKey = errors.New("not a P-256 private key in PKCS #8 PEM")

// Signer makes the X-WG-Token of plan-only requests. A router takes them once
// it was given PublicKey at its registration, and refuses all others.
type Signer struct {
	key      *ecdsa.PrivateKey
	public   string
	claims   SignerOptions
	lifetime time.Duration
	now      func() time.Time
}

// SignerOptions say whom the tokens of a Signer are for.
type SignerOptions struct {
	OrganizationID, FederatedGraphID string           // claims; the router reads neither
	Lifetime                         time.Duration    // of one token; 0: DefaultTokenLifetime
	Now                              func() time.Time // nil: the clock
}

// requestClaims are those that Cosmo's own control plane puts into its tokens.
type requestClaims struct {
	OrganizationID   string `json:"organization_id,omitempty"`
	FederatedGraphID string `json:"federated_graph_id,omitempty"`
	jwt.RegisteredClaims
}

// NewSigner reads a private key as NewKey writes it. Its errors say nothing of
// the text.
func NewSigner(key []byte, o SignerOptions) (*Signer, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, fmt.Errorf("new signer: %w", ErrKey)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	private, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || private.Curve != elliptic.P256() {
		return nil, fmt.Errorf("new signer: %w", ErrKey)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("new signer: %w", err)
	}
	s := &Signer{
		key: private, claims: o, lifetime: o.Lifetime, now: o.Now,
		public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}
	if s.lifetime <= 0 {
		s.lifetime = DefaultTokenLifetime
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// PublicKey is what a router checks tokens with, in PEM.
func (s *Signer) PublicKey() string { return s.public }

// Token returns a new token; it is an Options.Token.
func (s *Signer) Token() (string, error) {
	// No "issued at" and no "not before": they could only make a router with a
	// slow clock refuse what is good.
	claims := requestClaims{
		OrganizationID: s.claims.OrganizationID, FederatedGraphID: s.claims.FederatedGraphID,
		RegisteredClaims: jwt.RegisteredClaims{Issuer: DefaultClientName, ExpiresAt: jwt.NewNumericDate(s.now().Add(s.lifetime))},
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodES256, claims).SignedString(s.key)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

// NewKey makes a private key for a Signer, in PKCS #8 PEM.
func NewKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
