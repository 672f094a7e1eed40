package config

import (
	"net/url"
	"slices"
)

// redacted returns a copy without user information in URLs, and without the
// values of headers.
func (c Config) redacted() Config {
	c.CDN.URL = withoutUser(c.CDN.URL)
	c.CDN.Upstream = withoutUser(c.CDN.Upstream)
	c.Graphs = slices.Clone(c.Graphs)
	for i := range c.Graphs {
		g := &c.Graphs[i]
		g.Schema.URL = withoutUser(g.Schema.URL)
		g.Profiles = withoutValues(g.Profiles)
		g.Routers = slices.Clone(g.Routers)
		for j := range g.Routers {
			r := &g.Routers[j]
			r.URL, r.ReadyURL, r.MetricsURL = withoutUser(r.URL), withoutUser(r.ReadyURL), withoutUser(r.MetricsURL)
		}
	}
	return c
}

// withoutUser drops user information and the query, either of which can carry a secret.
func withoutUser(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || raw == "" {
		return ""
	}
	u.User, u.RawQuery = nil, ""
	return u.String()
}
