package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	maxWebhookBytes   = 1 << 20
	webhookReadTime   = 10 * time.Second // for one body
	webhookSaveTime   = 10 * time.Second // for noting it in the bucket
	maxWebhooksAtOnce = 32
	// repeatWindow is how long a delivery that carries no id of its own is
	// taken for a repetition of an equal one. Two publishes may be equal, so it
	// is short.
	repeatWindow = 30 * time.Second
)

// Delivery is one message of a schema registry that is to be acted on.
type Delivery struct {
	Source string // the sender's name
	ID     string // hex SHA-256 of what a repetition has in common with it
	At     time.Time
	// Window bounds how long an equal ID is a repetition; 0 is for an ID that
	// no other event has.
	Window time.Duration
}

// Publications is told of each schema that was published.
type Publications interface {
	// Published notes that the schema of graph was published. fresh is false
	// for a repetition. When it returns nil the work survives a restart; it is
	// done later.
	Published(ctx context.Context, graph manifest.Graph, d Delivery) (fresh bool, err error)
}

// WebhookGraph is one graph and what the senders call it.
type WebhookGraph struct {
	Graph  manifest.Graph
	Cosmo  []string // id, name, or namespace/name of a federated graph or a monograph
	Apollo []string // graph@variant, or graph for any variant
	Hive   []string // target, project/target or organization/project/target, by slug or id
}

// WebhookOptions configure the webhook endpoints. Publications and Graphs are
// required. A sender without secrets is off.
type WebhookOptions struct {
	Publications Publications
	Graphs       []WebhookGraph
	// Each returns the secrets that are valid now; it is asked for each
	// request, so that they can be exchanged.
	CosmoSecrets, ApolloSecrets, HiveSecrets func() []string
	Generic                                  *GenericWebhook
	Logger                                   *zap.Logger
	Registerer                               prometheus.Registerer
	Now                                      func() time.Time
}

// webhooks serves the endpoints.
type webhooks struct {
	WebhookOptions
	log      *zap.Logger
	received *prometheus.CounterVec
	room     chan struct{}
}

// The outcomes of a delivery, as metrics and answers have them.
const (
	outcomeAccepted  = "accepted"
	outcomeDuplicate = "duplicate"
	outcomeIgnored   = "ignored"
	outcomeRefused   = "refused"   // not signed, or wrongly
	outcomeMalformed = "malformed" // signed, and not what the sender writes
	outcomeFailed    = "failed"    // it could not be noted; the sender should try again
)

// NewWebhooks returns the endpoints that schema registries call after a publish.
//
//	POST /webhooks/cosmo           X-Cosmo-Signature-256: <hex>
//	POST /webhooks/apollo          x-apollo-signature: sha256=<hex>
//	POST /webhooks/hive/<secret>   or /webhooks/hive with a bearer token
//	POST /webhooks/generic         as configured
//
// The answer to a signed delivery is 202, whether it starts work, repeats
// another one or is ignored; its body says which, and why.
func NewWebhooks(o WebhookOptions) (http.Handler, error) {
	switch {
	case o.Publications == nil:
		return nil, errors.New("new webhooks: no publications")
	case len(o.Graphs) == 0:
		return nil, errors.New("new webhooks: no graphs")
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	h := &webhooks{WebhookOptions: o, log: o.Logger.With(zap.String("component", "webhooks")), room: make(chan struct{}, maxWebhooksAtOnce)}
	h.received = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "planwarm_webhooks_total", Help: "Deliveries of schema registries, by sender and by what became of them.",
	}, []string{"sender", "outcome"})
	mux := http.NewServeMux()
	add := func(s sender, patterns ...string) {
		for _, outcome := range []string{outcomeAccepted, outcomeDuplicate, outcomeIgnored, outcomeRefused, outcomeMalformed, outcomeFailed} {
			h.received.WithLabelValues(s.name, outcome)
		}
		for _, p := range patterns {
			mux.HandleFunc(p, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, s) })
		}
	}
	if o.CosmoSecrets != nil {
		add(cosmoSender(o.CosmoSecrets), "POST /webhooks/cosmo")
	}
	if o.ApolloSecrets != nil {
		add(apolloSender(o.ApolloSecrets), "POST /webhooks/apollo")
	}
	if o.HiveSecrets != nil {
		add(hiveSender(o.HiveSecrets), "POST /webhooks/hive/{secret}", "POST /webhooks/hive")
	}
	if o.Generic != nil {
		s, err := genericSender(*o.Generic)
		if err != nil {
			return nil, fmt.Errorf("new webhooks: %w", err)
		}
		add(s, "POST /webhooks/generic")
	}
	if err := o.Registerer.Register(h.received); err != nil {
		return nil, fmt.Errorf("new webhooks: %w", err)
	}
	return mux, nil
}

// sender is one kind of registry.
type sender struct {
	name string
	// verify says whether the request was made by who knows a secret.
	verify func(r *http.Request, body []byte) bool
	// read returns what a verified body says.
	read func(body []byte) (event, error)
}

// event is what a delivery says.
type event struct {
	identity string // what a repetition has in common with it; "": the body
	ignored  string // why it calls for no work; "" when it does
	concerns func(WebhookGraph) bool
	subject  string // what it is about, for people
}

func (h *webhooks) serve(w http.ResponseWriter, r *http.Request, s sender) {
	select {
	case h.room <- struct{}{}:
		defer func() { <-h.room }()
	default:
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusServiceUnavailable, "too many deliveries at once")
		return
	}
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	if !s.verify(r, body) {
		h.received.WithLabelValues(s.name, outcomeRefused).Inc()
		h.log.Warn("webhook refused", zap.String("sender", s.name))
		fail(w, http.StatusUnauthorized, "signature missing or wrong")
		return
	}
	e, err := s.read(body)
	if err != nil {
		h.received.WithLabelValues(s.name, outcomeMalformed).Inc()
		h.log.Warn("webhook not understood", zap.String("sender", s.name), zap.Error(err))
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	h.act(w, r, s, e, body)
}

// act notes the work of an event for every graph that it concerns.
func (h *webhooks) act(w http.ResponseWriter, r *http.Request, s sender, e event, body []byte) {
	graphs := slices.DeleteFunc(slices.Clone(h.Graphs), func(g WebhookGraph) bool { return e.concerns == nil || !e.concerns(g) })
	if e.ignored == "" && len(graphs) == 0 {
		e.ignored = "no configured graph is called " + e.subject
	}
	if e.ignored != "" {
		h.received.WithLabelValues(s.name, outcomeIgnored).Inc()
		h.log.Info("webhook ignored", zap.String("sender", s.name), zap.String("reason", e.ignored))
		answer(w, http.StatusAccepted, map[string]string{"state": outcomeIgnored, "reason": e.ignored})
		return
	}
	// A sender that hangs up does not take its delivery along.
	ctx, stop := context.WithTimeout(context.WithoutCancel(r.Context()), webhookSaveTime)
	defer stop()
	state, names := outcomeDuplicate, make([]string, 0, len(graphs))
	for _, g := range graphs {
		fresh, err := h.Publications.Published(ctx, g.Graph, delivery(s.name, e.identity, body, h.Now()))
		if err != nil {
			h.received.WithLabelValues(s.name, outcomeFailed).Inc()
			h.log.Warn("webhook not kept", zap.String("sender", s.name), zap.Stringer("graph", g.Graph), zap.Error(err))
			fail(w, http.StatusServiceUnavailable, "the delivery could not be kept: send it again")
			return
		}
		if fresh {
			state = outcomeAccepted
		}
		names = append(names, g.Graph.String())
	}
	h.received.WithLabelValues(s.name, state).Inc()
	h.log.Info("webhook taken in", zap.String("sender", s.name), zap.String("state", state), zap.Strings("graphs", names))
	answer(w, http.StatusAccepted, struct {
		State  string   `json:"state"`
		Graphs []string `json:"graphs"`
	}{state, names})
}

// readBody reads a bounded body in bounded time.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	// A recorder in a test has no deadline; a connection has.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(webhookReadTime))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebhookBytes))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d bytes", maxWebhookBytes))
	case err != nil:
		fail(w, http.StatusBadRequest, "the body cannot be read")
	}
	return body, err == nil
}
