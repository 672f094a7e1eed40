package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/planwarm/planwarm/manifest"
)

// Defaults of HandlerOptions.
const (
	DefaultFirstWait = 3 * time.Second
	DefaultWait      = 250 * time.Millisecond
)

// Source has the document that a pulling router gets now.
type Source interface {
	// Current returns the current document of a graph. ErrNotFound says that
	// there is none, which withdraws an earlier one; after any other error the
	// last good document is served on.
	Current(ctx context.Context, graph manifest.Graph) (Document, error)
}

// Document is an encoded manifest, ready to be sent.
type Document struct {
	Body     []byte // identity bytes; not changed after they were handed over
	ETag     string // strong, of Body, with or without quotes; "" has the handler compute one
	Sequence uint64
	Modified time.Time
}

// ServedGraph is a graph that the Handler answers for.
type ServedGraph struct {
	Graph manifest.Graph
	// OrganizationID and FederatedGraphID are the path on which a Cosmo router
	// asks, and the claims of its graph token. Both empty: no such path.
	OrganizationID, FederatedGraphID string
	// Credentials has what a puller of the Cosmo path must show. It is called
	// for each request, so secrets can rotate. nil serves everybody, which is
	// only right on a loopback listener; a func that returns nothing serves
	// nobody.
	Credentials func() Credentials
	// Guard decides how much a router that may be crashing gets; nil: always
	// everything.
	Guard Guard
}

// Credentials open the Cosmo path of a graph; any one of them does.
type Credentials struct {
	JWTSecrets [][]byte // HS256 secrets of graph tokens
	Tokens     []string // pinned tokens, accepted as they are
}

// Guard is told of each authorised pull of a graph and says which of its plan
// keys are withheld from this answer. from identifies the connection.
type Guard interface {
	Pull(at time.Time, from string, keys []string) Verdict
}

// PullInfo is what is known of one authorised pull.
type PullInfo struct {
	At        time.Time
	Endpoint  string // EndpointCosmo or EndpointV1
	Remote    string // host of the peer, without its port
	Subject   string // subject of the graph token, "" when it has none
	UserAgent string // at most 256 bytes
	Status    int    // 200, 304 or 404
	Sequence  uint64 // of the document, 0 when there was none
	Withheld  int    // operations that the guard kept back
	Share     Share
}

// HandlerOptions configure a Handler.
type HandlerOptions struct {
	// Source has what a router gets that pulls on the Cosmo path. Required.
	Source Source
	// Published has what /v1/graphs/{namespace}/{graph}/manifest answers; nil: Source.
	Published Source
	Graphs    []ServedGraph
	// Tokens has the bearer tokens of the /v1 paths; it is called for each
	// request. nil serves everybody, a func that returns none serves nobody.
	Tokens func() []string
	// OnPull is called after the answer to each authorised GET was sent.
	OnPull func(manifest.Graph, PullInfo)
	// Upstream gets the requests for paths that belong to no graph; nil: 404.
	Upstream *url.URL
	// FirstWait bounds how long the first GETs of a graph wait for its first
	// document, Wait how long every later one does.
	FirstWait, Wait time.Duration
	Logger          *zap.Logger           // nil: none
	Registerer      prometheus.Registerer // nil: metrics are kept but not registered
}

// Handler is the CDN endpoint. A router that cannot get its warm-up at once
// starts late or cold, so whatever happens it answers fast, and only with 200,
// 304, 400, 401, 403, 404 or 405.
type Handler struct {
	log     *zap.Logger
	cosmo   map[cosmoPath]*cosmoGraph
	v1      map[manifest.Graph]*shelf
	tokens  func() []string
	onPull  func(manifest.Graph, PullInfo)
	proxy   http.Handler
	metrics *handlerMetrics
}

var _ http.Handler = (*Handler)(nil)

// cosmoPath is the variable part of a path of Cosmo's CDN.
type cosmoPath struct{ organization, graph string }

// cosmoGraph is a graph as it is served to Cosmo routers.
type cosmoGraph struct {
	ServedGraph
	shelf *shelf
}

// NewHandler builds the CDN endpoint.
func NewHandler(o HandlerOptions) (*Handler, error) {
	if o.Source == nil {
		return nil, errors.New("new cdn handler: no source")
	}
	if o.Published == nil {
		o.Published = o.Source
	}
	if o.FirstWait <= 0 {
		o.FirstWait = DefaultFirstWait
	}
	if o.Wait <= 0 {
		o.Wait = DefaultWait
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	h := &Handler{
		log:    o.Logger.With(zap.String("component", "cdn")),
		cosmo:  map[cosmoPath]*cosmoGraph{},
		v1:     map[manifest.Graph]*shelf{},
		tokens: o.Tokens,
		onPull: o.OnPull,
	}
	var err error
	if h.metrics, err = newHandlerMetrics(o.Registerer); err != nil {
		return nil, fmt.Errorf("new cdn handler: %w", err)
	}
	for _, g := range o.Graphs {
		if err := h.add(g, o); err != nil {
			return nil, fmt.Errorf("new cdn handler: %w", err)
		}
	}
	if h.proxy, err = newUpstream(o.Upstream, upstreamTransport(), h.log, h.metrics); err != nil {
		return nil, fmt.Errorf("new cdn handler: %w", err)
	}
	return h, nil
}

func (h *Handler) add(g ServedGraph, o HandlerOptions) error {
	if err := CheckGraph(g.Graph); err != nil {
		return err
	}
	if _, twice := h.v1[g.Graph]; twice {
		return fmt.Errorf("graph %s: served twice", g.Graph)
	}
	h.v1[g.Graph] = newShelf(g.Graph, o.Published, o.FirstWait, o.Wait, h.log)
	if g.OrganizationID == "" && g.FederatedGraphID == "" {
		return nil
	}
	p := cosmoPath{g.OrganizationID, g.FederatedGraphID}
	if p.organization == "" || p.graph == "" {
		return fmt.Errorf("graph %s: organization id and federated graph id go together", g.Graph)
	}
	if _, twice := h.cosmo[p]; twice {
		return fmt.Errorf("graph %s: its organization id and federated graph id belong to another graph too", g.Graph)
	}
	h.cosmo[p] = &cosmoGraph{ServedGraph: g, shelf: newShelf(g.Graph, o.Source, o.FirstWait, o.Wait, h.log)}
	return nil
}

// ServeHTTP answers one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.rescue(w)
	seg := segments(r.URL)
	switch {
	case isCosmoPath(seg) && (h.proxy == nil || h.cosmo[cosmoPath{seg[0], seg[1]}] != nil):
		h.metrics.count(EndpointCosmo, h.serveCosmo(w, r, cosmoPath{seg[0], seg[1]}))
	case isV1Path(seg):
		h.metrics.count(EndpointV1, h.serveV1(w, r, manifest.Graph{Namespace: seg[2], Name: seg[3]}))
	case h.proxy != nil:
		h.proxy.ServeHTTP(w, r) // it counts for itself
	default:
		h.metrics.count(endpointOther, refuse(w, http.StatusNotFound))
	}
}

// rescue turns a panic into the answer that lets a router go on without us.
func (h *Handler) rescue(w http.ResponseWriter) {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(v) // the proxy's way to end a broken answer
	}
	// The value of the panic may hold text of a request: the stack says enough.
	h.log.Error("cdn handler panicked", zap.Stack("stack"))
	refuse(w, http.StatusNotFound)
}

func (h *Handler) serveCosmo(w http.ResponseWriter, r *http.Request, p cosmoPath) int {
	if !isRead(r) {
		return refuseMethod(w)
	}
	g := h.cosmo[p]
	subject, status := h.authorize(r, p, g)
	if status != http.StatusOK {
		return refuse(w, status)
	}
	info := pullInfo(r, EndpointCosmo)
	info.Subject = subject
	doc, err := g.shelf.get(r.Context())
	if err != nil {
		info.Status = refuse(w, http.StatusNotFound)
		h.pulled(w, r, g.Graph, info)
		return info.Status
	}
	info.Sequence = doc.sequence
	if g.Guard != nil && r.Method == http.MethodGet {
		v := g.Guard.Pull(info.At, r.RemoteAddr, doc.keys)
		doc, info.Withheld = doc.without(v.Withheld)
		info.Share = v.Share
		h.metrics.guarded(v.Share)
		if info.Withheld > 0 {
			h.log.Warn("operations withheld from a router that may be crashing",
				zap.Stringer("graph", g.Graph), zap.Stringer("share", v.Share), zap.Int("withheld", info.Withheld))
		}
	}
	// The protocol has no ETag, and each pull must reach us: it is the sign of
	// a rebuild, and what a guard decided once must not be answered from a cache.
	w.Header().Set("Cache-Control", "private, no-store")
	info.Status = writeDocument(w, r, doc)
	h.pulled(w, r, g.Graph, info)
	return info.Status
}

func (h *Handler) serveV1(w http.ResponseWriter, r *http.Request, graph manifest.Graph) int {
	if !isRead(r) {
		return refuseMethod(w)
	}
	if h.tokens != nil && !hasToken(r, h.tokens()) {
		return refuse(w, http.StatusUnauthorized)
	}
	shelf, ok := h.v1[graph]
	if !ok {
		return refuse(w, http.StatusNotFound)
	}
	info := pullInfo(r, EndpointV1)
	doc, err := shelf.get(r.Context())
	if err != nil {
		info.Status = refuse(w, http.StatusNotFound)
		h.pulled(w, r, graph, info)
		return info.Status
	}
	info.Sequence = doc.sequence
	if h.tokens != nil {
		// A shared cache would hand to everybody what the token protects.
		w.Header().Set("Cache-Control", "private, no-cache")
	} else {
		w.Header().Set("Cache-Control", "public, max-age=0, must-revalidate")
		w.Header().Set("CDN-Cache-Control", "max-age=30, stale-while-revalidate=60, stale-if-error=86400")
	}
	info.Status = writeConditional(w, r, doc)
	h.pulled(w, r, graph, info)
	return info.Status
}

// pulled tells OnPull. The answer is flushed first: it must neither wait for
// what a pull sets off nor be torn by its failure.
func (h *Handler) pulled(w http.ResponseWriter, r *http.Request, graph manifest.Graph, info PullInfo) {
	if h.onPull == nil || r.Method != http.MethodGet {
		return
	}
	// A writer that cannot flush sends when the handler returns.
	_ = http.NewResponseController(w).Flush()
	defer func() {
		if recover() != nil {
			h.log.Error("pull callback panicked", zap.Stringer("graph", graph), zap.Stack("stack"))
		}
	}()
	h.onPull(graph, info)
}

func pullInfo(r *http.Request, endpoint string) PullInfo {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	agent := r.UserAgent()
	return PullInfo{At: time.Now(), Endpoint: endpoint, Remote: host, UserAgent: agent[:min(len(agent), 256)]}
}

// segments splits the path; an escaped slash stays inside its segment.
func segments(u *url.URL) []string {
	parts := strings.Split(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	for i, p := range parts {
		s, err := url.PathUnescape(p)
		if err != nil {
			return nil
		}
		parts[i] = s
	}
	return parts
}

// isCosmoPath matches /{organization_id}/{federated_graph_id}/cache_warmup/operations.json.
func isCosmoPath(seg []string) bool {
	return len(seg) == 4 && seg[0] != "" && seg[1] != "" && seg[2] == "cache_warmup" && seg[3] == "operations.json"
}

// isV1Path matches /v1/graphs/{namespace}/{graph}/manifest.
func isV1Path(seg []string) bool {
	return len(seg) == 5 && seg[0] == "v1" && seg[1] == "graphs" && seg[4] == "manifest"
}

func isRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// refuse answers with a status and no content worth reading.
func refuse(w http.ResponseWriter, status int) int {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Del("CDN-Cache-Control")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	body := http.StatusText(status) + "\n"
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	w.WriteHeader(status)
	// An error here is the client's going away; there is nobody left to tell.
	_, _ = w.Write([]byte(body))
	return status
}

func refuseMethod(w http.ResponseWriter) int {
	w.Header().Set("Allow", "GET, HEAD")
	return refuse(w, http.StatusMethodNotAllowed)
}
