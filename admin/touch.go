package admin

import (
	"net/http"
)

// touch makes the routers of a graph rebuild. It is not always time for that:
// then the reason is told and nothing is done.
func (c *control) touch(w http.ResponseWriter, r *http.Request) {
	graph, err := c.graph(r)
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	if c.toucher == nil {
		fail(w, http.StatusNotFound, "no routers can be touched")
		return
	}
	if err := c.toucher(r.Context(), graph); err != nil {
		fail(w, http.StatusConflict, err.Error())
		return
	}
	answer(w, http.StatusAccepted, map[string]string{"graph": graph.String(), "state": "touched"})
}
