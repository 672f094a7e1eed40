package otlp

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/planwarm/planwarm/telemetry/intake"
	"google.golang.org/grpc/codes"
)

// maxPrefix bounds a path before /v1/..., which becomes part of the identity
// of the points that come in on it.
const maxPrefix = 256

// Handler takes OTLP/HTTP: POST to any path that ends in /v1/traces,
// /v1/metrics or /v1/logs. Logs are answered like a success and dropped, since
// an exporter would send again what is refused.
func (r *Receiver) Handler() http.Handler { return http.HandlerFunc(r.serve) }

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	signal, transport, ok := endpoint(req.URL.Path)
	if !ok {
		http.NotFound(w, req)
		return
	}
	enc, known := encodingOf(intake.MediaType(req))
	refuse := func(status int, code codes.Code, reason, message string) {
		r.metrics.request(protocolHTTP, signal, reason)
		write(w, enc, status, failure(enc, uint32(code), message))
	}
	switch {
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "only POST", http.StatusMethodNotAllowed)
		return
	case !r.token.Allows(req.Header.Get("Authorization")):
		w.Header().Set("WWW-Authenticate", "Bearer")
		refuse(http.StatusUnauthorized, codes.Unauthenticated, reasonUnauthorized, "missing or wrong bearer token")
		return
	case !known:
		refuse(http.StatusUnsupportedMediaType, codes.InvalidArgument, reasonMediaType, "content type is neither application/x-protobuf nor application/json")
		return
	case signal == Logs:
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, req.Body, r.reader.MaxBytes()))
		r.metrics.request(protocolHTTP, signal, reasonOK)
		write(w, enc, http.StatusOK, success(signal, enc, Result{}))
		return
	}
	body, err := r.reader.ReadRequest(w, req)
	if err != nil {
		f := refusalOf(err)
		if f.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		refuse(f.status, f.code, f.reason, f.message)
		return
	}
	defer body.Release()
	sum, err := r.Take(r.now(), transport, signal, enc, body.Bytes)
	if err = overall(sum, err); err != nil {
		refuse(http.StatusBadRequest, codes.InvalidArgument, reasonMalformed, err.Error())
		return
	}
	r.metrics.request(protocolHTTP, signal, reasonOK)
	write(w, enc, http.StatusOK, success(signal, enc, sum.Result))
}

// overall tells a body that is refused from one of which a part is: when
// nothing in it was good, it is refused.
func overall(s Summary, err error) error {
	if err == nil && s.Rejected > 0 && s.Items == 0 && s.Unrouted == 0 {
		return s.Reason
	}
	return err
}

// endpoint reads the signal off a path. The transport has the path when it is
// not the usual one: a router with several readers gives each its own.
func endpoint(path string) (s Signal, transport string, ok bool) {
	for _, s := range []Signal{Traces, Metrics, Logs} {
		prefix, found := strings.CutSuffix(path, "/v1/"+s.String())
		if !found || len(prefix) > maxPrefix {
			continue
		}
		if prefix == "" {
			return s, protocolHTTP, true
		}
		return s, protocolHTTP + " " + strings.Clone(path), true
	}
	return 0, "", false
}

func encodingOf(media string) (enc Encoding, known bool) {
	switch media {
	case "application/x-protobuf":
		return Protobuf, true
	case "application/json":
		return JSON, true
	}
	return JSON, false
}

// refusal is how a request is refused.
type refusal struct {
	status          int
	code            codes.Code
	reason, message string
}

func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, intake.ErrTooLarge):
		return refusal{http.StatusRequestEntityTooLarge, codes.ResourceExhausted, reasonTooLarge, intake.ErrTooLarge.Error()}
	case errors.Is(err, intake.ErrBusy):
		return refusal{http.StatusServiceUnavailable, codes.Unavailable, reasonBusy, intake.ErrBusy.Error()}
	case errors.Is(err, intake.ErrEncoding):
		return refusal{http.StatusUnsupportedMediaType, codes.InvalidArgument, reasonMediaType, intake.ErrEncoding.Error()}
	case errors.Is(err, intake.ErrGzip):
		return refusal{http.StatusBadRequest, codes.InvalidArgument, reasonMalformed, intake.ErrGzip.Error()}
	}
	return refusal{http.StatusBadRequest, codes.InvalidArgument, reasonTransport, "body could not be read"}
}

func write(w http.ResponseWriter, enc Encoding, status int, body []byte) {
	w.Header().Set("Content-Type", enc.String())
	w.WriteHeader(status)
	_, _ = w.Write(body) // a sender that has gone is its own affair
}
