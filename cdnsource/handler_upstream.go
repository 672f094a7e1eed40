package cdnsource

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Bounds of what is passed on to the upstream CDN.
const (
	maxUpstreamRequest  = 1 << 20
	maxUpstreamResponse = 64 << 20
	upstreamHeaderWait  = 5 * time.Second
	upstreamTimeout     = 30 * time.Second
)

// viaName marks requests that went through here, so that an upstream which
// leads back to us is a 404 and not a loop.
const viaName = "planwarm"

var errUpstreamTooLarge = errors.New("upstream answer too large")

// newUpstream passes requests on to another CDN, from which the router gets
// persisted operations and polled execution configs. What is wrong there (no
// connection, a time-out, 429, 5xx) becomes a 404: a router retries
// everything else, and starts that much later. nil when u is nil.
func newUpstream(u *url.URL, transport http.RoundTripper, logger *zap.Logger, m *handlerMetrics) (http.Handler, error) {
	if u == nil {
		return nil, nil
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("upstream is not an http or https address")
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Header.Add("Via", "1.1 "+viaName)
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusTooManyRequests || r.StatusCode >= http.StatusInternalServerError {
				return errors.New(http.StatusText(r.StatusCode))
			}
			if r.ContentLength > maxUpstreamResponse {
				return errUpstreamTooLarge
			}
			r.Body = &boundedBody{ReadCloser: r.Body, left: maxUpstreamResponse}
			m.count(endpointUpstream, r.StatusCode)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				logger.Warn("upstream failed", zap.String("host", u.Host), zap.Error(withoutURL(err)))
			}
			m.count(endpointUpstream, refuse(w, http.StatusNotFound))
		},
		ErrorLog: log.New(io.Discard, "", 0), // it would name paths and write around the logger
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodPost:
			m.count(endpointUpstream, refuse(w, http.StatusNotFound))
		case strings.Contains(strings.Join(r.Header.Values("Via"), ","), viaName):
			logger.Warn("upstream leads back here", zap.String("host", u.Host))
			m.count(endpointUpstream, refuse(w, http.StatusNotFound))
		case climbs(r.URL):
			m.count(endpointUpstream, refuse(w, http.StatusNotFound))
		default:
			ctx, cancel := context.WithTimeout(r.Context(), upstreamTimeout)
			defer cancel()
			r = r.WithContext(ctx)
			r.Body = http.MaxBytesReader(w, r.Body, maxUpstreamRequest)
			proxy.ServeHTTP(w, r)
		}
	}), nil
}

// climbs says whether a path could lead out of the path of the upstream.
func climbs(u *url.URL) bool {
	for part := range strings.SplitSeq(strings.ReplaceAll(u.Path, `\`, "/"), "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// upstreamTransport gives up early on an upstream that does not begin to answer.
func upstreamTransport() http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = upstreamHeaderWait
	t.MaxConnsPerHost = 64
	return t
}

// withoutURL drops the address from a client error: its path and query are the
// router's business.
func withoutURL(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	return err
}

// boundedBody fails once more than left bytes have been read.
type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errUpstreamTooLarge
	}
	return n, err
}
