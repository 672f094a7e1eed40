package router

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/klauspost/compress/gzip"
	"go.uber.org/zap"
)

// usagePath is the Connect procedure that takes aggregated usage.
const usagePath = "/wg.cosmo.graphqlmetrics.v1.GraphQLMetricsService/PublishAggregatedGraphQLMetrics"

// errUsageFull: the collector was away for so long that usage was dropped.
var errUsageFull = errors.New("usage dropped: too many distinct operations held back")

// usageKey is what one aggregate counts.
type usageKey struct {
	op     operation
	client client
	graph  string
	status int
	failed bool
}

// usage counts requests by operation and client and sends the counts to a
// graphqlmetrics collector. A nil usage counts nothing.
type usage struct {
	url, token string
	client     *http.Client
	log        *zap.Logger

	sending sync.Mutex // one export at a time: who asks for a flush waits for the one under way

	mu      sync.Mutex // guards what follows
	counts  map[usageKey]uint64
	dropped uint64
}

func newUsage(t Telemetry, log *zap.Logger) *usage {
	return &usage{url: strings.TrimSuffix(t.Usage, "/") + usagePath, token: t.Token, log: log, counts: map[usageKey]uint64{},
		client: &http.Client{Timeout: exportTimeout, Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: 30 * time.Second}}}
}

// request counts one live request. Plan-only requests and requests that could
// not be normalised are left out: there is no text to send that is free of literals.
func (u *usage) request(r observation) {
	if u == nil || r.planOnly || r.op.document == "" {
		return
	}
	u.add(usageKey{op: r.op, client: r.client, graph: r.graph, status: r.status, failed: !r.planned}, 1)
}

func (u *usage) add(k usageKey, n uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.counts[k]; !ok && len(u.counts) >= maxUsageKeys {
		u.dropped += n
		return
	}
	u.counts[k] += n
}

// run sends the counts each interval until ctx ends.
func (u *usage) run(ctx context.Context, interval time.Duration) {
	if u == nil {
		return
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// A body that is on its way is not cut off, or it would be counted
			// there and sent again; the client's own time-out bounds it.
			if err := u.flush(context.WithoutCancel(ctx)); err != nil {
				u.log.Warn("usage export failed", zap.Error(err))
			}
		}
	}
}

// flush sends what was counted since the last time; what could not be sent is counted on.
func (u *usage) flush(ctx context.Context) error {
	if u == nil {
		return nil
	}
	u.sending.Lock()
	defer u.sending.Unlock()
	u.mu.Lock()
	counts, dropped := u.counts, u.dropped
	u.counts, u.dropped = map[usageKey]uint64{}, 0
	u.mu.Unlock()
	var full error
	if dropped > 0 {
		full = fmt.Errorf("flush usage: %d requests: %w", dropped, errUsageFull)
	}
	if len(counts) == 0 {
		return full
	}
	if err := u.post(ctx, encodeUsage(counts)); err != nil {
		for k, n := range counts {
			u.add(k, n)
		}
		return errors.Join(err, full)
	}
	return full
}

func (u *usage) post(ctx context.Context, message []byte) error {
	var body bytes.Buffer
	zw := gzip.NewWriter(&body)
	if _, err := zw.Write(message); err != nil {
		return fmt.Errorf("compress usage: %w", err)
	}
	if err := zw.Close(); err != nil {
		return fmt.Errorf("compress usage: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, &body)
	if err != nil {
		return fmt.Errorf("post usage: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+u.token)
	req.Header.Set("Connect-Protocol-Version", "1")
	req.Header.Set("Content-Encoding", "gzip")
	req.Header.Set("Content-Type", "application/proto")
	res, err := u.client.Do(req)
	if err != nil {
		return fmt.Errorf("post usage: %w", err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20)); err != nil {
		return fmt.Errorf("post usage: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("post usage: status %d", res.StatusCode)
	}
	return nil
}

// close drops the connections.
func (u *usage) close() {
	if u != nil {
		u.client.CloseIdleConnections()
	}
}

// operationTypes numbers the operation types as the protocol does; query is 0.
var operationTypes = map[string]int32{"mutation": 1, "subscription": 2}

// encodeUsage writes a PublishAggregatedGraphQLRequestMetricsRequest.
func encodeUsage(counts map[usageKey]uint64) []byte {
	var m easyproto.Marshaler
	root := m.MessageMarshaler()
	for k, n := range counts {
		aggregation := root.AppendMessage(1)
		schemaUsage := aggregation.AppendMessage(1)
		schemaUsage.AppendString(1, k.op.document)
		info := schemaUsage.AppendMessage(3)
		info.AppendString(1, k.op.hash)
		if k.op.name != "" {
			info.AppendString(2, k.op.name)
		}
		if t := operationTypes[k.op.kind]; t != 0 {
			info.AppendInt32(3, t)
		}
		schemaUsage.AppendMessage(4).AppendString(3, k.graph)
		client := schemaUsage.AppendMessage(5)
		client.AppendString(1, k.client.name)
		client.AppendString(2, k.client.version)
		request := schemaUsage.AppendMessage(6)
		request.AppendInt32(1, int32(k.status))
		if k.failed {
			request.AppendBool(2, true)
		}
		aggregation.AppendUint64(2, n)
	}
	return m.Marshal(nil)
}
