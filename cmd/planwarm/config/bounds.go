package config

import (
	"net"
	"net/url"
	"time"

	"github.com/planwarm/planwarm/cdnsource"
)

const (
	minInterval = 10 * time.Millisecond // below it a loop does nothing else
	maxRate     = 1e6                   // operations a second
)

// rate takes no NaN and no infinity, which YAML has and a limiter cannot keep.
func (c *checker) rate(key string, v float64) {
	if !(v >= 0 && v <= maxRate) {
		c.fault(key, "%v is not between 0 and %g", v, float64(maxRate))
	}
}

// interval is the pause of a loop.
func (c *checker) interval(key string, v Duration) {
	if v.Std() < minInterval {
		c.fault(key, "%s is shorter than %s", v.Std(), minInterval)
	}
}

// name is a part of a key in the bucket.
func (c *checker) name(key, v string) {
	if cdnsource.CheckName(v) != nil {
		c.fault(key, "%q is not a name: letters, digits, and . _ - @ between them, at most 100", v)
	}
}

// bare takes no secret in a URL that logs, status and metrics show; there is
// the key where it belongs.
func (c *checker) bare(key, v, there string) {
	if u, err := url.Parse(v); err == nil && (u.User != nil || u.RawQuery != "") {
		c.fault(key, "has user information or a query: it is shown in logs, status and metrics, so secrets belong in %s", there)
	}
}

// checkPorts names listeners that ask for the same address.
func (c Config) checkPorts(k *checker) {
	cdn := c.CDN.Listen
	if !c.CDN.Enabled {
		cdn = ""
	}
	seen := map[string]string{}
	for _, l := range []struct{ key, addr string }{
		{"telemetry.otlp.http", c.Telemetry.OTLP.HTTP}, {"telemetry.otlp.grpc", c.Telemetry.OTLP.GRPC},
		{"cdn.listen", cdn}, {"health.listen", c.Health.Listen}, {"admin.listen", c.Admin.Listen},
		{"webhooks.listen", c.Webhooks.Listen},
	} {
		if _, port, err := net.SplitHostPort(l.addr); err != nil || port == "0" {
			continue
		}
		if other, taken := seen[l.addr]; taken {
			k.fault(l.key, "%q is the address of %s", l.addr, other)
		}
		seen[l.addr] = l.key
	}
}
