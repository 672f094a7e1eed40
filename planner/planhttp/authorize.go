package planhttp

import (
	"fmt"
	"net/http"

	"github.com/planwarm/planwarm/planner"
)

// MaxTokenBytes bounds a token.
const MaxTokenBytes = 8 << 10

// Token asks for a token that is to be sent as it is. Without it a request
// could be executed, so that none is sent. That says nothing of the router: a
// secret that is being exchanged is there again in a moment.
func Token(token func() (string, error)) (string, error) {
	secret, err := token()
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: not asked: %w", planner.ErrUnavailable, err)
	case !HeaderValue(secret, MaxTokenBytes):
		return "", fmt.Errorf("%w: not asked: the token is empty, too long, or no header value", planner.ErrUnavailable)
	}
	return secret, nil
}

// Authorize sets the bearer token of a request that has no Authorization from
// its profile. A nil token sets none.
func Authorize(req *http.Request, token func() (string, error)) error {
	if token == nil || req.Header.Get("Authorization") != "" {
		return nil
	}
	secret, err := Token(token)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	return nil
}
