package planhttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// Sender sends requests to one router and reads what comes back.
type Sender struct {
	Client    *http.Client
	Timeout   time.Duration // of one request
	MaxBody   int64         // bytes read of one answer
	Extension string        // to look for in answers; "" for none
	Keep      bool          // keep what was read of the body
}

// Reply is what came back for one request.
type Reply struct {
	Answer
	Status int
	Header http.Header
	Took   time.Duration
	Body   []byte // nil unless it was to be kept
}

// Send sends one request. That something was executed is the most important
// thing that an answer can say: it is told without an error, whatever else is
// wrong with the answer. Errors wrap a sentinel of package planner and name
// neither address nor headers; what was read is there beside them.
func (s Sender) Send(req *http.Request) (Reply, error) {
	ctx, cancel := context.WithTimeout(req.Context(), s.Timeout)
	defer cancel()
	start := time.Now()
	res, err := s.Client.Do(req.WithContext(ctx))
	if err != nil {
		return Reply{}, TransportError(ctx, err)
	}
	defer func() { _ = res.Body.Close() }() // the answer is read already
	var body io.Reader = res.Body
	var kept bytes.Buffer
	if s.Keep {
		body = io.TeeReader(body, &kept)
	}
	r := Reply{Answer: ReadResponse(ctx, body, s.MaxBody, s.Extension), Status: res.StatusCode, Header: res.Header}
	r.Took, r.Body = time.Since(start), kept.Bytes()
	switch {
	case r.Data == DataValue:
		return r, nil
	case r.Err != nil:
		return r, TransportError(ctx, r.Err)
	}
	return r, StatusError(r.Status, r.Header)
}
