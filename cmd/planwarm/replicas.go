package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

const (
	lookupTimeout = 5 * time.Second
	lookupRetry   = time.Second // first pause after a look-up that failed
)

// resolver looks up the addresses of a name.
type resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// destination is where a router's requests go.
type destination struct {
	name   string       // for logs, metrics and status
	client *http.Client // nil: wherever the URL leads
}

// close ends the connections that nobody uses any more.
func (t destination) close() {
	if t.client != nil {
		t.client.CloseIdleConnections()
	}
}

// soleRouter says whether a graph has one router, and not several that cannot
// be told apart by their pulls.
func soleRouter(g config.Graph) bool { return len(g.Routers) == 1 && !g.Routers[0].Resolve }

// destinationsOf returns one destination for each address of a router that is to be
// looked up, and else the router itself.
func destinationsOf(ctx context.Context, rs resolver, r config.Router) ([]destination, error) {
	if !r.Resolve {
		return []destination{{name: r.URL}}, nil
	}
	addrs, err := lookup(ctx, rs, hostOf(r))
	if err != nil {
		return nil, err
	}
	var out []destination
	for _, a := range addrs[:min(len(addrs), config.MaxRouters)] {
		out = append(out, replicaAt(r, a))
	}
	return out, nil
}

// replicaAt is the replica of r at an address. The URL stays as it is, and with
// it the Host header and the name in TLS; only where connections go is decided.
func replicaAt(r config.Router, a netip.Addr) destination {
	host := hostOf(r)
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = nil // the router is beside us
	t.MaxIdleConnsPerHost = 64
	dial := (&net.Dialer{Timeout: lookupTimeout}).DialContext
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if name, port, err := net.SplitHostPort(address); err == nil && strings.EqualFold(name, host) {
			address = net.JoinHostPort(a.String(), port)
		}
		return dial(ctx, network, address)
	}
	return destination{name: r.URL + "#" + a.String(), client: &http.Client{Transport: t}}
}

func hostOf(r config.Router) string {
	u, err := url.Parse(r.URL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// lookup returns the addresses of a name, each once, in an order that does not
// change from one answer to the next.
func lookup(ctx context.Context, rs resolver, host string) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	found, err := rs.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("look up replicas: %w", err)
	}
	addrs := make([]netip.Addr, 0, len(found))
	for _, a := range found {
		if a.IsValid() {
			addrs = append(addrs, a.Unmap())
		}
	}
	if len(addrs) == 0 {
		return nil, errors.New("look up replicas: the name has no address")
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}

// replicas keeps the routers of a graph what name servers say they are.
type replicas struct {
	resolver resolver
	fixed    []warmer.RouterOptions // that are always there
	build    func(config.Router, destination) (warmer.RouterOptions, error)
	set      func([]warmer.RouterOptions) error // in the warmer
	log      *zap.Logger

	mu     sync.Mutex
	groups []*replicaGroup
}

// replicaGroup is the replicas behind one name.
type replicaGroup struct {
	config config.Router
	tried  bool         // it was looked up, whatever came of it
	addrs  []netip.Addr // of the last answer that had any
	there  map[netip.Addr]replica
}

// replica is a replica that the warmer has.
type replica struct {
	destination
	options warmer.RouterOptions
}

// newReplicas returns nil when no router is to be looked up.
func newReplicas(routers []config.Router, fixed []warmer.RouterOptions, build func(config.Router, destination) (warmer.RouterOptions, error), log *zap.Logger) *replicas {
	rs := &replicas{resolver: net.DefaultResolver, fixed: fixed, build: build, log: log.With(zap.String("component", "replicas"))}
	for _, r := range routers {
		if r.Resolve {
			rs.groups = append(rs.groups, &replicaGroup{config: r, there: map[netip.Addr]replica{}})
		}
	}
	if len(rs.groups) == 0 {
		return nil
	}
	return rs
}

// run looks up and looks up again until ctx ends.
func (rs *replicas) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, g := range rs.groups {
		wg.Go(func() { rs.follow(ctx, g) })
	}
	wg.Wait()
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, g := range rs.groups {
		for _, r := range g.there {
			r.close()
		}
	}
}

func (rs *replicas) follow(ctx context.Context, g *replicaGroup) {
	interval := g.config.ResolveInterval.Std()
	retry := lookupRetry
	for {
		addrs, err := lookup(ctx, rs.resolver, hostOf(g.config))
		if ctx.Err() != nil {
			return
		}
		wait := interval
		if err != nil {
			rs.log.Warn("replicas not looked up, those that are known stay", zap.String("router", g.config.URL), zap.Error(err))
			wait = min(retry, interval)
			retry *= 2
		} else {
			retry = lookupRetry
		}
		rs.take(g, addrs)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// take takes over an answer; nil is none, and leaves what is there.
func (rs *replicas) take(g *replicaGroup, addrs []netip.Addr) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	first := !g.tried
	g.tried = true
	changed := addrs != nil && !slices.Equal(addrs, g.addrs)
	if changed {
		g.addrs = addrs
	}
	if !changed && !first {
		return
	}
	known := false
	for _, other := range rs.groups {
		if !other.tried {
			return // or readiness would not wait for its replicas
		}
		known = known || other.addrs != nil
	}
	if known {
		rs.apply()
	}
}

// apply hands the routers to the warmer, as many as it takes. It is called
// under the lock.
func (rs *replicas) apply() {
	list := slices.Clone(rs.fixed)
	left := 0
	for _, g := range rs.groups {
		for _, a := range g.addrs {
			if len(list) >= warmer.MaxRouters {
				left++
				continue
			}
			r, err := rs.replica(g, a)
			if err != nil {
				rs.log.Error("replica not warmed", zap.String("router", r.name), zap.Error(err))
				continue
			}
			list = append(list, r.options)
		}
	}
	if left > 0 {
		rs.log.Warn("more replicas than are warmed", zap.Int("left_out", left), zap.Int("most", warmer.MaxRouters))
	}
	if err := rs.set(list); err != nil {
		rs.log.Error("replicas not taken over", zap.Error(err))
		return
	}
	rs.log.Info("replicas changed", zap.Int("routers", len(list)))
	names := make(map[string]bool, len(list))
	for _, o := range list {
		names[o.Name] = true
	}
	for _, g := range rs.groups {
		for a, r := range g.there {
			if !names[r.name] {
				r.close()
				delete(g.there, a)
			}
		}
	}
}

// replica returns the one at an address, a new one when it is not there yet.
func (rs *replicas) replica(g *replicaGroup, a netip.Addr) (replica, error) {
	if r, ok := g.there[a]; ok {
		return r, nil
	}
	r := replica{destination: replicaAt(g.config, a)}
	var err error
	if r.options, err = rs.build(g.config, r.destination); err != nil {
		return r, err
	}
	g.there[a] = r
	return r, nil
}
