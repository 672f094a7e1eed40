//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// victim is what a kill hits.
type victim int

const (
	nobody victim = iota
	theCommand
	theCommandsServer
	theSidecar
	theSidecarsServer
)

// pushedOperation is one that is pushed; no two are alike.
type pushedOperation struct{ name, text string }

// newOperation makes an operation that has a plan of its own: the alias is
// part of the plan.
func (f *fleet) newOperation() pushedOperation {
	name := fmt.Sprintf("Push%04d", f.names.Add(1))
	return pushedOperation{name, fmt.Sprintf("query %s($id: ID!) { a%s: order(id: $id) { id number status } }", name, name)}
}

// writer pushes, one command after another, some of which are killed.
type writer struct {
	fleet   *fleet
	random  *rand.Rand
	victims []victim          // still to be killed, in this order
	pause   int               // pushes until the next kill
	took    time.Duration     // by the last push that nobody disturbed
	retry   []pushedOperation // an unacknowledged push that is made again

	wanted   int // pushes to be acknowledged, at least
	pushes   int // that were acknowledged
	acked    []pushedOperation
	unknown  []pushedOperation // pushed, never acknowledged, and given up
	kills    map[victim]int
	survived int // pushes acknowledged although their server was killed
	late     int // kills that came when the command had exited
}

func newWriter(f *fleet, random *rand.Rand, p killPlan) *writer {
	w := &writer{fleet: f, random: random, wanted: p.pushes, took: time.Second, kills: map[victim]int{}}
	for range p.commands {
		w.victims = append(w.victims, theCommand)
	}
	for range p.servers {
		w.victims = append(w.victims, theCommandsServer)
	}
	random.Shuffle(len(w.victims), func(i, j int) { w.victims[i], w.victims[j] = w.victims[j], w.victims[i] })
	w.pause = 1 + random.IntN(4)
	return w
}

// run pushes until everything that was planned has happened.
func (w *writer) run(ctx context.Context) error {
	for ctx.Err() == nil && !(w.done() && w.fleet.settled.Load()) {
		if w.fleet.names.Load() > mostOperations {
			return fmt.Errorf("%d operations pushed and still %d kills and %d of %d pushes done", w.fleet.names.Load(), len(w.victims), w.pushes, w.wanted)
		}
		if err := w.push(); err != nil {
			return err
		}
	}
	w.unknown = append(w.unknown, w.retry...)
	return nil
}

// done says whether what was planned for this writer has happened.
func (w *writer) done() bool { return len(w.victims) == 0 && w.pushes >= w.wanted }

// push makes one call and notes what became of it.
func (w *writer) push() error {
	operations := w.next()
	v := w.draw()
	args := []string{"push", "storefront", "--namespace", "default"}
	for _, o := range operations {
		path := filepath.Join(w.fleet.dir, o.name+".graphql")
		if err := os.WriteFile(path, []byte(o.text), 0o600); err != nil {
			return err
		}
		args = append(args, "--file", path)
	}
	var out bytes.Buffer
	cmd := w.fleet.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	began := time.Now()
	p, err := startProcess(cmd)
	if err != nil {
		return err
	}
	hit := w.kill(p, v)
	<-p.exited
	switch {
	case hit:
		w.kills[v]++
		w.pause = 1 + w.random.IntN(4)
	case v != nobody:
		w.late++
		w.victims = append(w.victims, v)
	}
	switch {
	case p.err == nil:
		w.acknowledge(operations)
		if hit {
			w.survived++
		} else {
			w.took = time.Since(began)
		}
	case !hit:
		return fmt.Errorf("push that nobody disturbed: %w\n%s", p.err, out.String())
	case v == theCommandsServer:
		return fmt.Errorf("push whose server was killed once: %w\n%s", p.err, out.String())
	case w.random.IntN(2) == 0:
		w.retry = operations
	default:
		w.unknown = append(w.unknown, operations...)
	}
	return nil
}

// next returns what is pushed now: half of the pushes that were killed are made
// again. A writer that only waits for the last kills of the sidecar pushes what
// is there already, so that it cannot reach the cap.
func (w *writer) next() []pushedOperation {
	if again := w.retry; again != nil {
		w.retry = nil
		return again
	}
	if w.done() {
		i := w.random.IntN(len(w.acked))
		return w.acked[i : i+1]
	}
	n := 1
	if w.random.IntN(4) == 0 {
		n += 1 + w.random.IntN(4)
	}
	operations := make([]pushedOperation, n)
	for i := range operations {
		operations[i] = w.fleet.newOperation()
	}
	return operations
}

// draw says whom the next kill is for.
func (w *writer) draw() victim {
	if w.pause--; w.pause > 0 || len(w.victims) == 0 {
		return nobody
	}
	v := w.victims[0]
	w.victims = w.victims[1:]
	return v
}

func (w *writer) acknowledge(operations []pushedOperation) {
	for _, o := range operations {
		if !slices.Contains(w.acked, o) {
			w.acked = append(w.acked, o)
		}
	}
	w.pushes++
	w.fleet.pushed.Add(1)
}

// kill strikes at any moment of the push and says whether it hit. Half of the
// kills of a command come in its later part, where everything happens that
// could go wrong: with an embedded bucket, once its server is there.
func (w *writer) kill(p *fleetProcess, v victim) bool {
	began := time.Now()
	target := p.pid()
	moment := time.Duration(w.random.Float64() * float64(w.took))
	switch {
	case v == nobody:
		return false
	case !w.fleet.bucket.embedded && w.random.IntN(2) == 0:
		// The bucket's probe comes first and the write last.
		moment = w.took/2 + moment/2
	case v == theCommandsServer, w.fleet.bucket.embedded && w.random.IntN(2) == 0:
		server, err := w.fleet.marker.awaitServer(p.pid(), 0, p.exited)
		if err != nil {
			return false
		}
		if v == theCommandsServer {
			target = server
		}
		left := w.took - time.Since(began)
		moment = time.Duration(w.random.Float64() * float64(max(left, 0)))
	}
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-p.exited:
		return false
	case <-timer.C:
	}
	if !w.fleet.marker.kill(target) {
		return false
	}
	if v == theCommandsServer {
		return true
	}
	<-p.exited
	return p.killed()
}
