package demo

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/embedded"
	"github.com/planwarm/planwarm/manifest"
)

// cdn stands in front of the bucket, as a CDN does, and can be broken.
type cdn struct {
	url     string
	srv     *http.Server
	broken  atomic.Bool
	handler atomic.Pointer[http.Handler]
}

func newCDN() (*cdn, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start cdn: %w", err)
	}
	c := &cdn{url: "http://" + ln.Addr().String()}
	none := http.NotFoundHandler()
	c.handler.Store(&none)
	c.srv = &http.Server{Handler: http.HandlerFunc(c.serve)}
	go func() { _ = c.srv.Serve(ln) }() // it ends with stop
	return c, nil
}

func (c *cdn) serve(w http.ResponseWriter, r *http.Request) {
	if c.broken.Load() {
		http.Error(w, "the demo broke this CDN", http.StatusInternalServerError)
		return
	}
	(*c.handler.Load()).ServeHTTP(w, r)
}

func (c *cdn) stop(ctx context.Context) error { return c.srv.Shutdown(ctx) }

// serveBucket puts the CDN in front of the bucket that planwarm keeps in
// dataDir, through an S3 server of its own over the same directory. The server
// is returned also with an error; nil when it did not start.
func (c *cdn) serveBucket(ctx context.Context, dataDir string) (*embedded.Server, error) {
	srv, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(dataDir, "s3")})
	if err != nil {
		return nil, err
	}
	store, err := cdnsource.NewStore(cdnsource.Options{Bucket: srv.Bucket()})
	if err != nil {
		return srv, err
	}
	h, err := cdnsource.NewHandler(cdnsource.HandlerOptions{
		Source: inForce{store}, Graphs: []cdnsource.ServedGraph{{Graph: graph}},
	})
	if err != nil {
		return srv, err
	}
	var handler http.Handler = h
	c.handler.Store(&handler)
	return srv, nil
}

// inForce serves the manifest that the bucket has.
type inForce struct{ store *cdnsource.Store }

var _ cdnsource.Source = inForce{}

// Current implements cdnsource.Source.
func (s inForce) Current(ctx context.Context, g manifest.Graph) (cdnsource.Document, error) {
	m, _, err := s.store.Fetch(ctx, g)
	if err != nil {
		return cdnsource.Document{}, err
	}
	body, err := manifest.Encode(m)
	if err != nil {
		return cdnsource.Document{}, err
	}
	return cdnsource.Document{Body: body, Sequence: m.Sequence, Modified: m.GeneratedAt}, nil
}
