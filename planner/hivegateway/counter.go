package hivegateway

import (
	"context"
	"io"
	"time"

	"github.com/planwarm/planwarm/planner/planhttp"
)

const (
	schemaChanges   = "graphql_envelop_schema_change"
	metricsInterval = 2 * time.Second
)

// counter watches the gateway's own count of schema changes. Only Watch uses
// it, one look after the other.
type counter struct {
	o     Options
	known bool
	last  float64
	next  time.Time
}

// look returns a sign when the count is another one than before: it went up, or
// began anew with the process. A gateway that loads one schema at each start
// counts 1 each time, so a restart need not show here. A page that cannot be had
// says nothing.
func (c *counter) look(ctx context.Context) string {
	if c.o.MetricsURL == "" || time.Now().Before(c.next) {
		return ""
	}
	c.next = time.Now().Add(metricsInterval)
	var sum float64
	found := false
	err := planhttp.Get(ctx, c.o.Client, c.o.MetricsURL, planhttp.LookTimeout, func(r io.Reader) error {
		series, err := planhttp.ReadPage(r, schemaChanges)
		for _, s := range series {
			sum, found = sum+s.Value, true
		}
		return err
	})
	if err != nil || !found {
		return ""
	}
	changed := c.known && sum != c.last
	c.known, c.last = true, sum
	if changed {
		return SignCounter
	}
	return ""
}
