package dryrundouble

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// Mode is how the router behaves.
type Mode uint8

// The modes.
const (
	// Allowed: a dry run is answered with the plan and without data.
	Allowed Mode = iota
	// HugePlan: the same, with a plan of 20 MB.
	HugePlan
	// Ignored: the header is not allowed, so it is ignored without a sign and
	// the operation executes, mutations included.
	Ignored
	// Shown: a proxy rewrote the header to ask for plan and data: it executes.
	Shown
	// ShownFirst is Shown with the plan before the data.
	ShownFirst
	// NullRoots: the header is ignored, and every root field resolves to null.
	NullRoots
	// NullData: the header is ignored, and an error made "data" itself null.
	NullData
	// Huge: the header is ignored, and the data has 10 MB.
	Huge
	// Nothing: an answer with neither plan nor data nor errors.
	Nothing
	// Unavailable: 503, the router's back-pressure.
	Unavailable
	// Limited: 429 with Retry-After.
	Limited
	// Redirect: a proxy in front sends everybody elsewhere, where it executes.
	Redirect
	// HTML: a login page answers with 200.
	HTML
	// HugeExtensions: 20 MB that prove nothing.
	HugeExtensions
	// Slow: no answer until Delay has passed or the client is gone.
	Slow
	// Broken: a 500 without a GraphQL answer.
	Broken
)

// honours says whether a dry run is one in this mode.
func (m Mode) honours() bool { return m == Allowed || m == HugePlan }

const (
	hugeBytes = 10 << 20
	hugePlan  = 20 << 20 // more than is read of an answer
)

// transport answers in the modes in which no GraphQL is spoken.
func transport(w http.ResponseWriter, r *http.Request, o Options) bool {
	switch o.Mode {
	case Unavailable:
		reply(w, http.StatusServiceUnavailable, `{"errors":[{"message":"overloaded"}]}`)
	case Limited:
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	case Redirect:
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	case HTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>Sign in</title>")
	case HugeExtensions:
		writeHuge(w, `{"extensions":{"other":"`, hugePlan, `"}}`)
	case Nothing:
		reply(w, http.StatusOK, `{"extensions":{}}`)
	case Slow:
		select {
		case <-r.Context().Done():
		case <-time.After(o.Delay):
			w.WriteHeader(http.StatusGatewayTimeout)
		}
	case Broken:
		http.Error(w, "stack trace", http.StatusInternalServerError)
	default:
		return false
	}
	return true
}

func (d *Double) answerPlan(w http.ResponseWriter, m Mode) {
	if m == HugePlan {
		writeHuge(w, `{"extensions":{"`+d.kind.Extension+`":{"object":`+d.kind.Plan+`,"text":["`, hugePlan, `"]}}}`)
		return
	}
	reply(w, http.StatusOK, `{"extensions":{"`+d.kind.Extension+`":`+d.kind.Plan+`}}`)
}

// execute counts an execution and answers as if subgraphs had been called.
func (d *Double) execute(w http.ResponseWriter, r Request, m Mode) {
	d.mu.Lock()
	d.executed = append(d.executed, Execution{
		Query: r.Query, Mutation: r.Op.Operation == ast.Mutation, Canary: r.Op.Name == "PlanwarmCanary",
	})
	d.mu.Unlock()
	value := `"x"`
	if m == NullRoots {
		value = "null"
	}
	if m == Huge {
		writeHuge(w, `{"data":{"a":["`, hugeBytes, `"]}}`)
		return
	}
	if m == NullData {
		reply(w, http.StatusOK, `{"data":null,"errors":[{"message":"HTTP fetch failed"}]}`)
		return
	}
	var roots []string
	for _, s := range r.Op.SelectionSet {
		if f, ok := s.(*ast.Field); ok {
			roots = append(roots, fmt.Sprintf("%q:%s", f.Alias, value))
		}
	}
	data := `"data":{` + strings.Join(roots, ",") + `}`
	plan := `"extensions":{"` + d.kind.Extension + `":` + d.kind.Plan + `}`
	switch m {
	case Shown:
		reply(w, http.StatusOK, "{"+data+","+plan+"}")
	case ShownFirst:
		reply(w, http.StatusOK, "{"+plan+","+data+"}")
	default:
		reply(w, http.StatusOK, "{"+data+"}")
	}
}

// writeHuge writes strings of 1 KB up to size between head and tail.
func writeHuge(w io.Writer, head string, size int, tail string) {
	_, _ = io.WriteString(w, head)
	piece := append(bytes.Repeat([]byte("x"), 1020), `","`...)
	if strings.HasSuffix(head, `:"`) {
		piece = bytes.Repeat([]byte("x"), 1023) // one string
	}
	for n := 0; n < size; n += len(piece) {
		if _, err := w.Write(piece); err != nil {
			return
		}
	}
	_, _ = io.WriteString(w, tail)
}

func reply(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}
