package cdnsource

import "net/http"

// Opens says whether a graph token opens the graph with these ids: it is
// pinned, or signed and of this very graph.
func (c Credentials) Opens(token, organizationID, federatedGraphID string) bool {
	p := cosmoPath{organizationID, federatedGraphID}
	if p.organization == "" || p.graph == "" {
		return false
	}
	_, status := c.check(token, p, p)
	return status == http.StatusOK
}
