package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/telemetry"
	"github.com/planwarm/planwarm/telemetry/graphqlmetrics"
	"github.com/planwarm/planwarm/telemetry/otlp"
	"go.uber.org/zap"
)

// serveTelemetry prepares the receivers: OTLP over HTTP with graphqlmetrics on a
// path of its own, and OTLP over gRPC.
func (g *generation) serveTelemetry() error {
	c := g.config.Telemetry.OTLP
	token, err := readSecret(c.TokenFile)
	if err != nil {
		return err
	}
	g.receiver, err = otlp.New(otlp.Options{Route: g.routeOTLP, MaxBytes: int64(c.MaxBytes), Token: token, Log: g.log, Registerer: g.registry})
	if err != nil {
		return err
	}
	usage, err := graphqlmetrics.NewHandler(graphqlmetrics.Options{
		Route: g.routeGraphQLMetrics, MaxBytes: int64(c.MaxBytes), Log: g.log, Registerer: g.registry,
	})
	if err != nil {
		return err
	}
	httpServer, err := g.host.server("otlp http", c.HTTP)
	if err != nil {
		return err
	}
	if httpServer != nil {
		httpServer.set(telemetryMux(g.receiver.Handler(), g.guardUsage(token, usage)))
	}
	g.grpc = g.receiver.GRPC()
	port, err := g.host.grpcPort(c.GRPC)
	if err != nil || port == nil {
		return err
	}
	if g.grpcListener, err = port.share(); err != nil {
		return err
	}
	g.host.undo.onStop("shared "+grpcName+" listener", func(context.Context) error { return g.grpcListener.Close() })
	return nil
}

func (g *generation) serveGRPC() {
	if g.grpcListener == nil {
		return
	}
	g.wg.Go(func() {
		if err := g.grpc.Serve(g.grpcListener); err != nil {
			g.log.Error("listener ended", zap.String("listener", grpcName), zap.Error(err))
		}
	})
}

// settleEvery is how often requests are looked at that a mapping waits for
// more of: what was sent last is known even when nothing follows.
const settleEvery = 5 * time.Second

func settleTelemetry(ctx context.Context, r *otlp.Receiver) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			r.Settle(now)
		}
	}
}

// telemetryMux tells schema usage from OTLP by the path.
func telemetryMux(traces, usage http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, graphqlmetrics.Path) {
			usage.ServeHTTP(w, r)
			return
		}
		traces.ServeHTTP(w, r)
	})
}

// guardUsage asks senders of schema usage for a token, when one is configured.
// A Cosmo router can only show its graph token here, so that is taken as well.
func (g *generation) guardUsage(token string, next http.Handler) http.Handler {
	if token == "" {
		return next
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := bearer(r)
		got := sha256.Sum256([]byte(shown))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 && !g.knowsGraphToken(shown) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"code":"unauthenticated","message":"token missing or wrong"}`))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// knowsGraphToken says whether a token is the graph token of a configured graph.
// What the secret of one graph has signed does not open another graph.
func (g *generation) knowsGraphToken(token string) bool {
	for _, p := range g.graphs {
		creds := p.credentials()
		for _, t := range creds.Tokens {
			if subtle.ConstantTimeCompare([]byte(t), []byte(token)) == 1 {
				return true
			}
		}
		for _, secret := range creds.JWTSecrets {
			var claims graphClaims
			_, err := jwt.ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) { return secret, nil }, jwt.WithValidMethods([]string{"HS256"}))
			if err == nil && claims.FederatedGraphID == p.config.Cosmo.FederatedGraphID {
				return true
			}
		}
	}
	return false
}

// routeOTLP finds the graph of a sender: the first whose telemetry_match its
// resource attributes satisfy.
func (g *generation) routeOTLP(resource otlp.Attributes) telemetry.Recorder {
	for _, p := range g.graphs {
		if matches(p.config.TelemetryMatch, resource) {
			return p.table.table
		}
	}
	return nil
}

func matches(want map[string]string, have otlp.Attributes) bool {
	for k, v := range want {
		if have.Get(k) != v {
			return false
		}
	}
	return true
}

// routeGraphQLMetrics finds the graph of a body: it has no resource, but the
// router's graph token names the graph. The claims only choose among graphs
// here; who may send at all was decided before.
func (g *generation) routeGraphQLMetrics(r *http.Request) telemetry.Recorder {
	if len(g.graphs) == 1 {
		return g.graphs[0].table.table
	}
	var claims graphClaims
	if _, _, err := jwt.NewParser().ParseUnverified(bearer(r), &claims); err != nil || claims.FederatedGraphID == "" {
		return nil
	}
	for _, p := range g.graphs {
		if p.config.Cosmo.FederatedGraphID == claims.FederatedGraphID {
			return p.table.table
		}
	}
	return nil
}
