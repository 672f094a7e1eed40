package doctor

import (
	"fmt"
	"math"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/warmer"
)

// dialable is an address that a neighbour can call.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// loopback says whether a host is this machine alone.
func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// listensOnLoopback says whether a listener is reachable from this machine alone.
func listensOnLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && loopback(host)
}

// endpoint is host and port of a URL, or of an address without a scheme.
func endpoint(raw string) (host, port string, ok bool) {
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return "", "", false
	}
	port = u.Port()
	if port == "" {
		port = map[string]string{"https": "443"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return u.Hostname(), port, true
}

// reaches says whether a URL leads to a listener. A listener on all interfaces
// can have any name; one on loopback, or none at all, cannot.
func reaches(raw, listen string) bool {
	host, port, ok := endpoint(raw)
	at, listenPort, err := net.SplitHostPort(listen)
	if !ok || err != nil || port != listenPort {
		return false
	}
	ip := net.ParseIP(at)
	switch {
	case at == "" || ip != nil && ip.IsUnspecified():
		return true
	case loopback(at):
		return loopback(host)
	}
	return strings.EqualFold(host, at) || net.ParseIP(host) == nil && !loopback(host) // a name may stand for the address
}

// reachesOTLP says whether a URL leads to one of planwarm's OTLP listeners.
func (in *Input) reachesOTLP(raw string) bool {
	o := in.planwarm().Telemetry.OTLP
	return o.HTTP != "" && reaches(raw, o.HTTP) || o.GRPC != "" && reaches(raw, o.GRPC)
}

// listed is how many plans planwarm may make in the router at most. Where plans
// are found by the exact text, each operation is one with its name and another
// one without.
func (in *Input) listed() int {
	n := in.Graph.Manifest.MaxOperations
	switch in.Target.Kind {
	case config.RouterApollo, config.RouterGrafbase:
		n *= 2
	}
	c := warmer.Capacity{PlanCacheSize: in.Target.PlanCacheSize, PullRate: in.Target.Pull.ItemsPerSecond, PullTimeout: in.Target.Pull.Timeout.Std()}
	if limit := c.Limit(); limit > 0 {
		n = min(n, limit)
	}
	if l := in.Graph.Warm.Limit; l > 0 {
		n = min(n, l)
	}
	return n
}

// share of a router's capacity that a list may fill.
const share = 0.9

// fits says whether planwarm's list fits into so many plans.
func (in *Input) fits(plans float64) bool { return float64(in.listed()) <= plans*share }

// sizes are those of a cache and of planwarm's list, for people.
func (in *Input) sizes(plans float64) string {
	return fmt.Sprintf("room for %.0f plans, a list of up to %d", plans, in.listed())
}

// pullAdvice is the rate, at a time-out of 30 s, and the cache that the list needs.
func (in *Input) pullAdvice() (rate, cache int) {
	n := float64(in.listed())
	rate = max(50, int(math.Ceil(n/(30*time.Second).Seconds()/share)))
	return rate, max(1024, int(math.Ceil(n/share)))
}
