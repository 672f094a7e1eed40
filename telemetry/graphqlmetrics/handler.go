package graphqlmetrics

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/telemetry/intake"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

// Path is where the router posts; a prefix set in its collector_endpoint may
// stand before it.
const Path = "/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/PublishAggregatedGraphQLMetrics"

// Options of a Handler.
type Options struct {
	// Route gives the recorder for a request, nil when it is none of ours: a
	// body does not say which graph it is of, but the request's token or path
	// may. It must be safe for concurrent use, like the recorders. Required.
	Route func(req *http.Request) telemetry.Recorder
	// MaxBytes bounds a body, decompressed. Default: 64 MiB.
	MaxBytes int64
	// Token that the router has to show as a bearer token. Empty: none.
	Token string
	// Now is the clock of arrivals. Default: time.Now.
	Now func() time.Time
	// Log. Default: none.
	Log *zap.Logger
	// Registerer of the metrics. Default: none.
	Registerer prometheus.Registerer
}

// Handler takes schema usage. It is safe for concurrent use.
type Handler struct {
	route   func(*http.Request) telemetry.Recorder
	token   intake.Token
	reader  *intake.Reader
	now     func() time.Time
	log     *zap.Logger
	metrics *metrics
}

var _ http.Handler = (*Handler)(nil)

// NewHandler returns a Handler.
func NewHandler(o Options) (*Handler, error) {
	if o.Route == nil {
		return nil, errors.New("create schema usage handler: no Route")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	m, err := newMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("create schema usage handler: %w", err)
	}
	return &Handler{
		route:   o.Route,
		token:   intake.NewToken(o.Token),
		reader:  intake.NewReader(o.MaxBytes),
		now:     o.Now,
		log:     o.Log.With(zap.String("component", "graphqlmetrics")),
		metrics: m,
	}, nil
}

// refusal is an error as Connect writes it.
type refusal struct {
	status  int
	code    string // Connect's name of the code
	message string
	reason  string // the metric's label
}

var (
	notFound     = refusal{http.StatusNotFound, "unimplemented", "unknown procedure", "not_found"}
	notAllowed   = refusal{http.StatusMethodNotAllowed, "unimplemented", "only POST", "method"}
	unauthorized = refusal{http.StatusUnauthorized, "unauthenticated", "missing or wrong bearer token", "unauthorized"}
	wrongType    = refusal{http.StatusUnsupportedMediaType, "invalid_argument", "content type is neither application/proto nor application/json", "media_type"}
	wrongVersion = refusal{http.StatusBadRequest, "invalid_argument", "unsupported version of the Connect protocol", "media_type"}
)

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	enc, known := encodingOf(intake.MediaType(req))
	version := req.Header.Get("Connect-Protocol-Version")
	switch {
	case !strings.HasSuffix(req.URL.Path, Path):
		h.refuse(w, notFound)
	case req.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, notAllowed)
	case !h.token.Allows(req.Header.Get("Authorization")):
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.refuse(w, unauthorized)
	case !known:
		h.refuse(w, wrongType)
	case version != "" && version != "1":
		h.refuse(w, wrongVersion)
	default:
		h.publish(w, req, enc)
	}
}

func (h *Handler) publish(w http.ResponseWriter, req *http.Request, enc Encoding) {
	body, err := h.reader.ReadRequest(w, req)
	if err != nil {
		f := refusalOf(err)
		if f.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		h.refuse(w, f)
		return
	}
	defer body.Release()
	h.metrics.bytes.Add(float64(len(body.Bytes)))
	to := h.route(req)
	if to == nil {
		h.metrics.requests.WithLabelValues("unrouted").Inc()
		accept(w, enc)
		return
	}
	s, err := Record(h.now(), body.Bytes, enc, to)
	h.metrics.rejected.Add(float64(s.Rejected))
	if err != nil {
		h.refuse(w, refusal{http.StatusBadRequest, "invalid_argument", err.Error(), "malformed"})
		return
	}
	result := "ok"
	if !s.Counted {
		result = "repeated"
	}
	h.metrics.requests.WithLabelValues(result).Inc()
	h.metrics.aggregations.Add(float64(s.Aggregations))
	h.log.Debug("schema usage taken", zap.Int("bytes", len(body.Bytes)), zap.Int("items", s.Aggregations),
		zap.Int("rejected", s.Rejected), zap.Bool("counted", s.Counted))
	accept(w, enc)
}

// Summary is what became of one body.
type Summary struct {
	Aggregations int
	Rejected     int
	Counted      bool // false for a body that was counted a moment ago
}

// Record reads one decompressed body and records what it says as having
// arrived at the given time. A body of which nothing is good is an error.
func Record(at time.Time, body []byte, enc Encoding, to telemetry.Recorder) (Summary, error) {
	u, err := Decode(body, enc)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Aggregations: len(u.Requests), Rejected: u.Rejected}
	if len(u.Requests) == 0 {
		if u.Rejected > 0 {
			return s, fmt.Errorf("decode schema usage: %w", u.Reason)
		}
		return s, nil
	}
	s.Counted = to.Requests(at, sha256.Sum256(body), u.Requests)
	return s, nil
}

// RecordCapture does the same for a body as captured in a file: protobuf or
// JSON, gzipped or not, of at most maxBytes decompressed (0: 64 MiB). A body
// tells no time of its own, so the caller gives the one of its other input.
func RecordCapture(at time.Time, raw []byte, maxBytes int64, to telemetry.Recorder) (Summary, error) {
	body, err := intake.Unpack(raw, maxBytes)
	if err != nil {
		return Summary{}, fmt.Errorf("open capture: %w", err)
	}
	enc := Protobuf
	if json.Valid(body) {
		enc = JSON
	}
	return Record(at, body, enc, to)
}

func encodingOf(media string) (enc Encoding, known bool) {
	switch media {
	case "application/proto":
		return Protobuf, true
	case "application/json":
		return JSON, true
	}
	return 0, false
}

// refusalOf answers 413 for what is too large, though Connect's own status for
// resource_exhausted is 429: that one asks to be tried again, and Connect
// clients read the code from the body.
func refusalOf(err error) refusal {
	switch {
	case errors.Is(err, intake.ErrTooLarge):
		return refusal{http.StatusRequestEntityTooLarge, "resource_exhausted", intake.ErrTooLarge.Error(), "too_large"}
	case errors.Is(err, intake.ErrBusy):
		return refusal{http.StatusServiceUnavailable, "unavailable", intake.ErrBusy.Error(), "busy"}
	case errors.Is(err, intake.ErrEncoding):
		return refusal{http.StatusNotImplemented, "unimplemented", intake.ErrEncoding.Error(), "media_type"}
	case errors.Is(err, intake.ErrGzip):
		return refusal{http.StatusBadRequest, "invalid_argument", intake.ErrGzip.Error(), "malformed"}
	}
	return refusal{http.StatusBadRequest, "canceled", "body could not be read", "transport"}
}

func (h *Handler) refuse(w http.ResponseWriter, f refusal) {
	h.metrics.requests.WithLabelValues(f.reason).Inc()
	b, err := json.Marshal(map[string]string{"code": f.code, "message": f.message})
	if err != nil {
		b = []byte("{}") // strings always marshal
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	_, _ = w.Write(b) // a sender that has gone is its own affair
}

// accept answers with the empty message.
func accept(w http.ResponseWriter, enc Encoding) {
	w.Header().Set("Content-Type", enc.String())
	w.WriteHeader(http.StatusOK)
	if enc == JSON {
		_, _ = w.Write([]byte("{}"))
	}
}
