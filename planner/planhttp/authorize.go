package planhttp

import (
	"fmt"
	"net/http"

	"github.com/planwarm/planwarm/planner"
)

// maxTokenBytes bounds a bearer token.
const maxTokenBytes = 8 << 10

// Authorize sets the bearer token of a request that has no Authorization from
// its profile. A nil token, or an empty one, sets none.
func Authorize(req *http.Request, token func() (string, error)) error {
	if token == nil || req.Header.Get("Authorization") != "" {
		return nil
	}
	secret, err := token()
	if err != nil {
		return fmt.Errorf("%w: %w", planner.ErrRefused, err)
	}
	if secret == "" {
		return nil
	}
	if !HeaderValue(secret, maxTokenBytes) {
		return fmt.Errorf("%w: the token cannot be sent as a header", planner.ErrRefused)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	return nil
}
