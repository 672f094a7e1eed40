package config

import (
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"
)

// DefaultResolveInterval is the time between two look-ups of replicas.
const DefaultResolveInterval = Duration(30 * time.Second)

// MaxRouters bounds the routers of one graph.
const MaxRouters = 64

// leastResolveInterval keeps a typing error from becoming a flood of look-ups.
const leastResolveInterval = Duration(time.Second)

// checkExecution refuses execution nobody asked for, and a permission that
// has no meaning, which somebody may take for one that has.
func (r Router) checkExecution(k *checker, key string) {
	switch {
	case r.Kind == RouterGrafbase && !r.AllowExecution:
		k.fault(key+".allow_execution", "is false: a grafbase gateway can be warmed only by executing queries; "+
			"set it to true to allow that, or leave the router out")
	case r.Kind != RouterGrafbase && r.AllowExecution:
		k.fault(key+".allow_execution", "is true: a router of kind %q is never warmed by executing", r.Kind)
	}
}

func (r Router) checkResolve(k *checker, key string) {
	if r.ResolveInterval < leastResolveInterval {
		k.fault(key+".resolve_interval", "%s is below %s", r.ResolveInterval.Std(), leastResolveInterval.Std())
	}
	if !r.Resolve {
		return
	}
	u, err := url.Parse(r.URL)
	if err != nil {
		return // said of url already
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		k.fault(key+".resolve", "is true: the host of url is an address, and not a name that has several")
	}
	if strings.ContainsFunc(u.Hostname(), func(c rune) bool { return c > unicode.MaxASCII }) {
		k.fault(key+".resolve", "is true: write the host of url in its ASCII form (xn--)")
	}
}

// checkReplicas refuses what would share one state.
func checkReplicas(k *checker, key string, routers []Router) {
	if len(routers) > MaxRouters {
		k.fault(key, "%d routers are more than %d", len(routers), MaxRouters)
	}
	seen := map[string]bool{}
	for _, r := range routers {
		if seen[r.URL] && r.URL != "" {
			k.fault(key, "two routers have the same url")
		}
		seen[r.URL] = true
	}
}
