package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/cdnsource/embedded"
	"github.com/planwarm/planwarm/manifest"
)

var graph = manifest.Graph{Namespace: "default", Name: "storefront"}

func newStore(t *testing.T, b cdnsource.Bucket) *cdnsource.Store {
	t.Helper()
	s, err := cdnsource.NewStore(cdnsource.Options{Bucket: b, Attempts: 200})
	if err != nil {
		t.Fatalf("new store: %v", err)
	}
	return s
}

// pushers push without end and remember what was acknowledged.
type pushers struct {
	group errgroup.Group
	stop  chan struct{}
	acked chan struct{} // one for each acknowledged push

	mu    sync.Mutex
	names []string
}

func push(t *testing.T, s *embedded.Server, writers int) *pushers {
	p := &pushers{stop: make(chan struct{}), acked: make(chan struct{}, 10_000)}
	for w := range writers {
		store := newStore(t, s.Bucket())
		p.group.Go(func() error {
			for i := 0; ; i++ {
				select {
				case <-p.stop:
					return nil
				default:
				}
				name := fmt.Sprintf("W%dx%d", w, i)
				if _, err := store.UpdatePins(t.Context(), graph, bucketsuite.Pin(name)); err != nil {
					return fmt.Errorf("push %s: %w", name, err)
				}
				p.mu.Lock()
				p.names = append(p.names, name)
				p.mu.Unlock()
				p.acked <- struct{}{}
			}
		})
	}
	return p
}

func (p *pushers) await(t *testing.T, n int) {
	t.Helper()
	for range n {
		select {
		case <-p.acked:
		case <-time.After(30 * time.Second):
			t.Fatal("no push was acknowledged for 30 s")
		}
	}
}

// end stops the pushers and returns what was acknowledged.
func (p *pushers) end(t *testing.T) []string {
	t.Helper()
	close(p.stop)
	if err := p.group.Wait(); err != nil {
		t.Fatal(err)
	}
	return p.names
}

// TestKills kills the child again and again while writers push, and counts
// what was acknowledged.
func TestKills(t *testing.T) {
	const kills, writers = 16, 4
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Logger: zap.NewNop()})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() { s.Close() })
	pushers := push(t, s, writers)
	pids := map[int]bool{}
	for range kills {
		// Some pushes on, and then at any moment of the next one.
		pushers.await(t, 1+random.IntN(5))
		spin(time.Duration(random.IntN(3000)) * time.Microsecond)
		pid := s.PID()
		pids[pid] = true
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("kill: %v", err)
		}
	}
	acknowledged := pushers.end(t)
	if len(pids) < kills*3/4 {
		t.Errorf("%d different children were killed, want nearly %d", len(pids), kills)
	}
	p, _, err := newStore(t, s.Bucket()).Pins(t.Context(), graph)
	if err != nil {
		t.Fatalf("pins: %v", err)
	}
	names := bucketsuite.PinNames(p)
	for _, name := range acknowledged {
		if names[name] != 1 {
			t.Errorf("acknowledged push %s is there %d times", name, names[name])
		}
	}
	if len(names) != len(acknowledged) {
		t.Errorf("%d pins, %d acknowledged", len(names), len(acknowledged))
	}
	t.Logf("%d kills, %d acknowledged pushes", kills, len(acknowledged))
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	for pid := range pids {
		if alive(pid) {
			t.Errorf("child %d is still alive", pid)
		}
	}
}

// spin passes a short time at a resolution that timers do not have.
func spin(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// alive says whether a process lives; a zombie does not.
func alive(pid int) bool {
	body, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, state, ok := strings.Cut(string(body), ") ")
	return ok && !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// awaitDead waits until a process that is not ours to wait for has gone.
func awaitDead(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-deadline:
			t.Fatalf("process %d outlived its parent", pid)
		case <-tick.C:
		}
	}
}

// TestTwoServersOnOneDirectory: a command and a running process have a server
// each. Conditions hold across them, and the death of one is nothing to the other.
func TestTwoServersOnOneDirectory(t *testing.T) {
	dir := t.TempDir()
	one, two := start(t, dir), start(t, dir)
	if one.Endpoint() == two.Endpoint() || one.Credentials() != two.Credentials() {
		t.Fatalf("endpoints %s and %s, want two with the same credentials", one.Endpoint(), two.Endpoint())
	}
	var group errgroup.Group
	for i := range 4 {
		store := newStore(t, []cdnsource.Bucket{one.Bucket(), two.Bucket()}[i%2])
		group.Go(func() error {
			for j := range 10 {
				if _, err := store.UpdatePins(t.Context(), graph, bucketsuite.Pin(fmt.Sprintf("P%dx%d", i, j))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatalf("push: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	p, _, err := newStore(t, two.Bucket()).Pins(t.Context(), graph)
	if err != nil || len(p.Pins) != 40 || p.Sequence != 40 {
		t.Fatalf("%d pins at sequence %d, want 40 and 40 (%v)", len(p.Pins), p.Sequence, err)
	}
}

// TestParentKilled: a child ends when its parent is killed, and what was
// acknowledged to the parent is there for the next one.
func TestParentKilled(t *testing.T) {
	dir := t.TempDir()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(exe, parentCommand, dir)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Fscan(out, &child); err != nil {
		t.Errorf("read pid of the child: %v", err)
	}
	parent.Process.Kill()
	parent.Wait()
	if child == 0 {
		t.FailNow()
	}
	awaitDead(t, child)
	p, _, err := newStore(t, start(t, dir).Bucket()).Pins(t.Context(), graph)
	if err != nil || len(p.Pins) != 1 {
		t.Fatalf("%d pins, want the one that was pushed (%v)", len(p.Pins), err)
	}
}

const parentCommand = "test-parent"

// runParent starts a server, pushes, says which process the server is, and hangs.
func runParent(dir string) int {
	s, err := embedded.Start(context.Background(), embedded.Options{Dir: dir})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	store, err := cdnsource.NewStore(cdnsource.Options{Bucket: s.Bucket()})
	if err == nil {
		_, err = store.UpdatePins(context.Background(), graph, bucketsuite.Pin("A"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(s.PID())
	select {}
}
