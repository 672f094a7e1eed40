// Package controlplane answers the one question that a Cosmo Router asks its
// control plane at every start: its registration. The answer hands the router
// the public key with which it checks the tokens of plan-only requests, so that
// it takes them from the holder of the private key and from nobody else.
//
// It is the unary POST of the Connect protocol, in protobuf or JSON, usually
// compressed by brotli. No answer keeps a router from starting: a router retries
// 5xx and 429 for up to 15 s and ends when the key in a good answer is no key,
// so a refusal is a 4xx, and a good answer always has a key.
package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/golang-jwt/jwt/v5"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/zap"
)

// Paths of the service and of its one method.
const (
	ServicePath  = "/wg.cosmo.node.v1.NodeService/"
	RegisterPath = ServicePath + "SelfRegister"
)

// maxBody bounds a request before and after decompression. The real one is empty.
const maxBody = 64 << 10

// maxAuthorization bounds the header with the graph token.
const maxAuthorization = 8 << 10

// ErrUnknown says that a graph token opens no graph with a key.
var ErrUnknown = errors.New("graph token is not known here")

// Options configure the control plane.
type Options struct {
	// PublicKey returns the public key, in PEM, of the graph that a graph token
	// belongs to; an error that wraps ErrUnknown refuses the token. Required.
	PublicKey func(graphToken string) (string, error)
	Logger    *zap.Logger // nil: none
}

type handler struct {
	key func(string) (string, error)
	log *zap.Logger
}

// New returns the handler for everything under ServicePath.
func New(o Options) (http.Handler, error) {
	if o.PublicKey == nil {
		return nil, errors.New("new control plane: no public keys")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	return &handler{key: o.PublicKey, log: o.Logger.With(zap.String("component", "control plane"))}, nil
}

// The codes of the Connect protocol that are answered, and their statuses.
const (
	codeUnimplemented   = "unimplemented"
	codeInvalid         = "invalid_argument"
	codeUnauthenticated = "unauthenticated"
	codePrecondition    = "failed_precondition"
)

// ServeHTTP answers one call.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != RegisterPath {
		fail(w, http.StatusNotFound, codeUnimplemented, "only SelfRegister is served here")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		fail(w, http.StatusMethodNotAllowed, codeUnimplemented, "not a POST")
		return
	}
	token, ok := bearer(r)
	if !ok {
		fail(w, http.StatusUnauthorized, codeUnauthenticated, "graph token missing")
		return
	}
	// Who the caller is comes first: nobody else has a body decompressed.
	key, err := h.key(token)
	if err == nil {
		err = checkKey(key)
	}
	switch {
	case errors.Is(err, ErrUnknown):
		fail(w, http.StatusUnauthorized, codeUnauthenticated, "graph token is not known here")
		return
	case err != nil:
		h.log.Error("router not registered", zap.Error(err))
		fail(w, http.StatusBadRequest, codePrecondition, "no public key for this graph")
		return
	}
	encoding, fault := readCall(r)
	if fault != nil {
		fail(w, fault.status, codeInvalid, fault.reason)
		return
	}
	h.log.Info("router registered")
	body := encodeJSON(key)
	if encoding == typeProto {
		body = encodeProto(key)
	}
	send(w, http.StatusOK, encoding, body)
}

// checkKey keeps back what a router would end for.
func checkKey(key string) error {
	if _, err := jwt.ParseECPublicKeyFromPEM([]byte(key)); err != nil {
		return fmt.Errorf("check public key: %w", err)
	}
	return nil
}

// Media types of a unary call.
const (
	typeProto = "application/proto"
	typeJSON  = "application/json"
)

// callFault is what is wrong with a call.
type callFault struct {
	status int
	reason string
}

// readCall reads the request, which has no fields that matter, to its end and
// returns the media type of the answer.
func readCall(r *http.Request) (string, *callFault) {
	encoding, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || encoding != typeProto && encoding != typeJSON {
		return "", &callFault{http.StatusUnsupportedMediaType, "neither application/proto nor application/json"}
	}
	body := io.Reader(io.LimitReader(r.Body, maxBody+1))
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) {
	case "", "identity":
	case "br":
		body = brotli.NewReader(body)
	case "gzip":
		zipped, err := gzip.NewReader(body)
		if err != nil {
			return "", &callFault{http.StatusBadRequest, "the body is not gzip"}
		}
		body = zipped
	default:
		return "", &callFault{http.StatusBadRequest, "unknown content encoding"}
	}
	data, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	switch {
	case err != nil:
		return "", &callFault{http.StatusBadRequest, "the body cannot be read"}
	case len(data) > maxBody:
		return "", &callFault{http.StatusBadRequest, "the body is too large"}
	case encoding == typeJSON && !json.Valid(data):
		return "", &callFault{http.StatusBadRequest, "the body is not JSON"}
	case encoding == typeProto && !wellFormed(data):
		return "", &callFault{http.StatusBadRequest, "the body is not protobuf"}
	}
	return encoding, nil
}

func bearer(r *http.Request) (string, bool) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 || len(values[0]) > maxAuthorization {
		return "", false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "bearer") && token != ""
}

// fail answers with an error of the Connect protocol.
func fail(w http.ResponseWriter, status int, code, message string) {
	body, err := json.Marshal(struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{code, message})
	if err != nil {
		body = []byte(`{"code":"` + codeInvalid + `"}`) // two strings always marshal
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	send(w, status, typeJSON, body)
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// An error here is the router's going away; there is nobody left to tell.
	_, _ = w.Write(body)
}
