package cdnsource

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	maxTokenBytes = 8 << 10
	// tokenLeeway forgives clocks that differ a little.
	tokenLeeway = time.Minute
)

// graphClaims are the claims of a Cosmo graph token that matter here. Such a
// token usually has no expiry; one that it has is obeyed.
type graphClaims struct {
	OrganizationID   string `json:"organization_id"`
	FederatedGraphID string `json:"federated_graph_id"`
	jwt.RegisteredClaims
}

// authorize checks the token of a request for the Cosmo path p, which belongs
// to g (nil: to no graph). It returns the token's subject, and 200 or the
// status to refuse with.
//
// Only the credentials of the path's own graph open it: whoever holds the
// secret of one graph could otherwise sign himself into another. A path that
// belongs to no graph is checked against all, to tell a wrong token (401) from
// a right one on a wrong path.
func (h *Handler) authorize(r *http.Request, p cosmoPath, g *cosmoGraph) (subject string, status int) {
	if g != nil {
		if g.Credentials == nil {
			return "", http.StatusOK
		}
		token, ok := bearer(r)
		if !ok {
			return "", http.StatusUnauthorized
		}
		return g.Credentials().check(token, p, p)
	}
	token, ok := bearer(r)
	if !ok {
		if h.open() {
			return "", http.StatusNotFound
		}
		return "", http.StatusUnauthorized
	}
	status = http.StatusUnauthorized
	if h.open() {
		status = http.StatusNotFound
	}
	for own, other := range h.cosmo {
		if other.Credentials == nil {
			continue
		}
		switch _, s := other.Credentials().check(token, p, own); s {
		case http.StatusOK:
			return "", http.StatusNotFound // a good token for a graph that is not here
		case http.StatusUnauthorized:
		default:
			status = s
		}
	}
	return "", status
}

// open says whether some graph is served without credentials.
func (h *Handler) open() bool {
	for _, g := range h.cosmo {
		if g.Credentials == nil {
			return true
		}
	}
	return len(h.cosmo) == 0
}

// check returns 200 when token opens the path asked, else 400, 401 or 403. own
// is the path of the graph whose credentials these are.
func (c Credentials) check(token string, asked, own cosmoPath) (subject string, status int) {
	if equalsAny(token, c.Tokens) {
		if asked != own {
			return "", http.StatusBadRequest
		}
		return "", http.StatusOK
	}
	for _, secret := range c.JWTSecrets {
		claims, ok := verify(token, secret)
		switch {
		case !ok:
			continue
		case claims.OrganizationID == "":
			return "", http.StatusForbidden
		case asked != cosmoPath{claims.OrganizationID, claims.FederatedGraphID}:
			return "", http.StatusBadRequest
		}
		return claims.Subject, http.StatusOK
	}
	return "", http.StatusUnauthorized
}

// verify checks signature and expiry of a graph token.
func verify(token string, secret []byte) (graphClaims, bool) {
	if len(secret) == 0 {
		return graphClaims{}, false // an empty secret would let everybody sign
	}
	var claims graphClaims
	_, err := jwt.ParseWithClaims(token, &claims,
		func(*jwt.Token) (any, error) { return secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithLeeway(tokenLeeway))
	return claims, err == nil
}

// hasToken says whether the request carries one of the tokens.
func hasToken(r *http.Request, tokens []string) bool {
	token, ok := bearer(r)
	return ok && equalsAny(token, tokens)
}

// bearer takes the token out of the Authorization header.
func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxTokenBytes {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// equalsAny compares in a time that depends neither on where two tokens differ
// nor, through the hashes, on how long they are.
func equalsAny(token string, tokens []string) bool {
	got, found := sha256.Sum256([]byte(token)), 0
	for _, t := range tokens {
		want := sha256.Sum256([]byte(t))
		if t != "" {
			found |= subtle.ConstantTimeCompare(got[:], want[:])
		}
	}
	return found == 1
}
