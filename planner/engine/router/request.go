package router

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// Headers of a Cosmo router.
const (
	headerSkipLoader    = "X-WG-Skip-Loader"
	headerToken         = "X-WG-Token"
	headerClientName    = "GraphQL-Client-Name"
	headerClientVersion = "GraphQL-Client-Version"
	headerPlanCache     = "X-WG-Execution-Plan-Cache"
)

var (
	// errNoQuery: persisted operations are not kept by this router.
	errNoQuery    = errors.New("read request: no query")
	errMalformed  = errors.New("read request: malformed JSON")
	errTooLarge   = errors.New("read request: body too large")
	errUnreadable = errors.New("read request: body unreadable")
	errMediaType  = errors.New("read request: content type is not application/json")
	errToken      = errors.New("plan-only request refused: token is missing or wrong")
	errMethod     = errors.New("mutations are not taken by GET")
)

// graphQLRequest is a GraphQL request over HTTP.
type graphQLRequest struct {
	Query         string          `json:"query"`
	OperationName string          `json:"operationName"`
	Variables     json.RawMessage `json:"variables"`
}

// readRequest decodes a GET or POST request and returns the status of a failure.
// Errors are constant: what encoding/json says can quote the body.
func readRequest(w http.ResponseWriter, r *http.Request) (graphQLRequest, int, error) {
	var in graphQLRequest
	if r.Method == http.MethodGet {
		q := r.URL.Query()
		in = graphQLRequest{Query: q.Get("query"), OperationName: q.Get("operationName")}
		if v := q.Get("variables"); v != "" {
			if !json.Valid([]byte(v)) {
				return in, http.StatusBadRequest, errMalformed
			}
			in.Variables = json.RawMessage(v)
		}
	} else {
		if ct := r.Header.Get("Content-Type"); ct != "" {
			if media, _, err := mime.ParseMediaType(ct); err != nil || media != "application/json" && media != "application/graphql-response+json" {
				return in, http.StatusUnsupportedMediaType, errMediaType
			}
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		var large *http.MaxBytesError
		switch {
		case errors.As(err, &large):
			return in, http.StatusRequestEntityTooLarge, errTooLarge
		case err != nil:
			return in, http.StatusBadRequest, errUnreadable
		}
		if err := json.Unmarshal(body, &in); err != nil {
			return in, http.StatusBadRequest, errMalformed
		}
	}
	if in.Query == "" {
		return in, http.StatusBadRequest, errNoQuery
	}
	return in, http.StatusOK, nil
}

// planOnlyDecision is what becomes of a request in a mode.
type planOnlyDecision uint8

const (
	execute planOnlyDecision = iota // an ordinary request
	ignored                         // it asked for a plan only and is executed nevertheless
	planOnly
	refuse
)

// decide says what a request's headers ask for and what the mode allows.
func (o Options) decide(h http.Header) planOnlyDecision {
	if h.Get(headerSkipLoader) != "true" {
		return execute
	}
	switch o.PlanOnly {
	case PlanOnlyAllowed:
		return planOnly
	case PlanOnlyFailClosed:
		if subtle.ConstantTimeCompare([]byte(h.Get(headerToken)), []byte(o.PlanOnlyToken)) == 1 {
			return planOnly
		}
		return refuse
	}
	return ignored
}

// clientOf names the client of a request as Cosmo does.
func clientOf(h http.Header) client {
	c := client{h.Get(headerClientName), h.Get(headerClientVersion)}
	setDefault(&c.name, "unknown")
	setDefault(&c.version, "missing")
	return c
}

// writeError answers with a GraphQL error.
func writeError(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	body, encodeErr := json.Marshal(map[string]any{"errors": []any{map[string]any{"message": err.Error()}}})
	if encodeErr != nil {
		body = fmt.Appendf(nil, `{"errors":[{"message":%q}]}`, http.StatusText(status))
	}
	_, _ = w.Write(body) // the client is gone: nobody to tell
}
