package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/warmer"
	"go.uber.org/zap"
)

// fakeDNS answers with what a test says.
type fakeDNS struct {
	mu    sync.Mutex
	addrs map[string]string // by name, separated by spaces; none: an error
	asked int
}

func (f *fakeDNS) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	list, ok := f.addrs[host]
	if !ok {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	var out []netip.Addr
	for _, a := range strings.Fields(list) {
		out = append(out, netip.MustParseAddr(a))
	}
	return out, nil
}

func (f *fakeDNS) set(host, addrs string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addrs[host] = addrs
}

func (f *fakeDNS) fail(host string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.addrs, host)
}

// fleetBench is replicas whose warmer is a list of names.
type fleetBench struct {
	*replicas
	dns   *fakeDNS
	mu    sync.Mutex
	names []string
	sets  int
	built int
}

func newFleetBench(t *testing.T, routers ...config.Router) *fleetBench {
	t.Helper()
	b := &fleetBench{dns: &fakeDNS{addrs: map[string]string{}}}
	build := func(_ config.Router, t destination) (warmer.RouterOptions, error) {
		b.built++
		if strings.HasSuffix(t.name, "#10.9.9.9") {
			return warmer.RouterOptions{}, errors.New("cannot be built")
		}
		return warmer.RouterOptions{Name: t.name}, nil
	}
	b.replicas = newReplicas(routers, []warmer.RouterOptions{{Name: "fixed"}}, build, zap.NewNop())
	b.resolver = b.dns
	b.replicas.set = func(list []warmer.RouterOptions) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sets++
		b.names = nil
		for _, o := range list {
			b.names = append(b.names, strings.TrimPrefix(o.Name, "http://"))
		}
		return nil
	}
	return b
}

func (b *fleetBench) list() (names string, sets int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.names, " "), b.sets
}

// start runs the look-ups until the test ends them.
func (b *fleetBench) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.run(ctx) }()
	return func() { cancel(); <-done }
}

func resolved(name string) config.Router {
	r := config.DefaultRouter()
	r.URL, r.Resolve = "http://"+name+":3002/graphql", true
	return r
}

// Replicas follow the answers: those that stay are not built again, and an
// answer that fails or is empty changes nothing.
func TestReplicasFollowNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFleetBench(t, resolved("r"))
		defer b.start()()
		step := func(what, want string, sets int) {
			t.Helper()
			time.Sleep(30 * time.Second)
			synctest.Wait()
			if got, n := b.list(); got != want || n != sets {
				t.Errorf("%s: %q after %d changes, want %q after %d", what, got, n, want, sets)
			}
		}
		step("no answer yet", "", 0)
		b.dns.set("r", "10.0.0.2 10.0.0.1 ::ffff:10.0.0.1")
		step("first", "fixed r:3002/graphql#10.0.0.1 r:3002/graphql#10.0.0.2", 1)
		b.dns.set("r", "10.0.0.1 10.0.0.2")
		step("another order", "fixed r:3002/graphql#10.0.0.1 r:3002/graphql#10.0.0.2", 1)
		b.dns.fail("r")
		step("failed", "fixed r:3002/graphql#10.0.0.1 r:3002/graphql#10.0.0.2", 1)
		b.dns.set("r", "")
		step("empty", "fixed r:3002/graphql#10.0.0.1 r:3002/graphql#10.0.0.2", 1)
		b.dns.set("r", "fd00::1 10.0.0.2 10.9.9.9")
		step("one gone, one new, one broken", "fixed r:3002/graphql#10.0.0.2 r:3002/graphql#fd00::1", 2)
		if b.built != 4 || len(b.groups[0].there) != 2 {
			t.Errorf("%d built, %d kept", b.built, len(b.groups[0].there))
		}
	})
}

// The first list has the replicas of every name that could be looked up, or
// readiness would not wait for them.
func TestReplicasOfSeveralNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := resolved("b")
		slow.ResolveInterval = config.Duration(time.Hour)
		b := newFleetBench(t, resolved("a"), slow)
		b.dns.set("a", "10.0.0.1")
		stop := b.start()
		synctest.Wait()
		if got, n := b.list(); got != "fixed a:3002/graphql#10.0.0.1" || n != 1 {
			t.Errorf("%q after %d changes", got, n)
		}
		b.dns.set("b", "10.0.0.1")
		time.Sleep(time.Second)
		synctest.Wait()
		if got, _ := b.list(); got != "fixed a:3002/graphql#10.0.0.1 b:3002/graphql#10.0.0.1" {
			t.Errorf("after a retry: %q", got)
		}
		stop()
	})
}

// However many addresses there are, so many are warmed, and always the same.
func TestReplicasAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newFleetBench(t, resolved("r"))
		var addrs []string
		for i := range 200 {
			addrs = append(addrs, fmt.Sprintf("10.0.1.%d", 200-i))
		}
		b.dns.set("r", strings.Join(addrs, " "))
		defer b.start()()
		synctest.Wait()
		got, _ := b.list()
		if n := len(strings.Fields(got)); n != warmer.MaxRouters || !strings.Contains(got, "#10.0.1.63") || strings.Contains(got, "#10.0.1.64") {
			t.Errorf("%d routers: %s", n, got)
		}
		targets, err := destinationsOf(t.Context(), b.dns, b.groups[0].config)
		if err != nil || len(targets) != config.MaxRouters || config.MaxRouters != warmer.MaxRouters {
			t.Errorf("%d targets, %v", len(targets), err)
		}
	})
}

func TestDestinationsOf(t *testing.T) {
	dns := &fakeDNS{addrs: map[string]string{"r": "10.0.0.1"}}
	plain := config.DefaultRouter()
	plain.URL = "http://r:3002/graphql"
	if ts, err := destinationsOf(t.Context(), dns, plain); err != nil || len(ts) != 1 || ts[0].name != plain.URL || ts[0].client != nil || dns.asked != 0 {
		t.Errorf("not to be looked up: %+v, %v, asked %d times", ts, err, dns.asked)
	}
	if ts, err := destinationsOf(t.Context(), dns, resolved("r")); err != nil || len(ts) != 1 || ts[0].name != "http://r:3002/graphql#10.0.0.1" {
		t.Errorf("%+v, %v", ts, err)
	}
	if _, err := destinationsOf(t.Context(), dns, resolved("other")); err == nil {
		t.Error("an unknown name is no error")
	}
	if rs := newReplicas([]config.Router{plain}, nil, nil, zap.NewNop()); rs != nil {
		t.Error("nothing is to be looked up, and yet somebody would")
	}
}

// Requests go to one address each, under the name that was configured, in TLS
// too, and whatever is asked at another name goes there.
func TestReplicaKeepsTheName(t *testing.T) {
	var mu sync.Mutex
	var hosts, names []string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hosts, names = append(hosts, r.Host), append(names, r.TLS.ServerName)
	}))
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	srv.StartTLS()
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := config.DefaultRouter()
	r.URL = "https://Example.com:" + u.Port() + "/graphql" // the server's certificate is for this name
	at := replicaAt(r, netip.MustParseAddr("127.0.0.1"))
	defer at.close()
	at.client.Transport.(*http.Transport).TLSClientConfig = srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	at.client.Transport.(*http.Transport).TLSClientConfig.ServerName = ""
	for _, address := range []string{r.URL, srv.URL} {
		res, err := at.client.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close() // it is empty
	}
	if hosts[0] != "Example.com:"+u.Port() || !strings.EqualFold(names[0], "example.com") || hosts[1] != u.Host {
		t.Errorf("hosts %v, names in TLS %v", hosts, names)
	}
}

// Two replicas behind one name are warmed by the command, each by itself.
func TestReplicaConnectionsArePinned(t *testing.T) {
	r := config.DefaultRouter()
	var port string
	seen := map[string]int{}
	var mu sync.Mutex
	for _, ip := range []string{"127.0.0.1", "127.0.0.2"} {
		ln, err := net.Listen("tcp", net.JoinHostPort(ip, or(port, "0")))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(ln.Addr().String())
		srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			seen[ip+" "+strings.TrimSuffix(r.Host, ":"+port)]++
		})}}
		srv.Start()
		defer srv.Close()
	}
	r.URL, r.Resolve = "http://router.test:"+port+"/graphql", true
	dns := &fakeDNS{addrs: map[string]string{"router.test": "127.0.0.1 127.0.0.2"}}
	targets, err := destinationsOf(t.Context(), dns, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range targets {
		for range 3 {
			res, err := at.client.Get(r.URL)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close() // it is empty
		}
		at.close()
	}
	if seen["127.0.0.1 router.test"] != 3 || seen["127.0.0.2 router.test"] != 3 {
		t.Errorf("seen %v", seen)
	}
}
