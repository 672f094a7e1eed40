//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// mostOperations stays below max_operations: an operation that falls out at the
// cap was not lost.
const mostOperations = 950

// pinsPoll is how often the sidecar looks for new pins.
const pinsPoll = 500 * time.Millisecond

// killPlan is how many kills of each kind there are.
type killPlan struct {
	writers, pushes             int // acknowledged pushes of each writer, at least
	commands, servers           int // kills of commands and of their servers, for each writer
	sidecars, sidecarsOwnServer int // kills of the sidecar and of its server
}

// TestKills: whatever is killed and whenever, an acknowledged push is in the
// bucket and in the next manifest, and nothing is left running.
func TestKills(t *testing.T) {
	testKills(t, killPlan{writers: 4, pushes: 80, commands: 5, servers: 3, sidecars: 5, sidecarsOwnServer: 5}, killBucket{
		config: "bucket: { url: embedded }", embedded: true, location: embeddedLocation,
	})
}

// embeddedLocation reads what planwarm writes for people who want to look inside.
func embeddedLocation(dataDir string) (s3Location, error) {
	var address struct{ Endpoint, Bucket string }
	var keys struct{ AccessKey, SecretKey string }
	for name, v := range map[string]any{"endpoint.json": &address, "credentials.json": &keys} {
		body, err := os.ReadFile(filepath.Join(dataDir, "s3", name))
		if err != nil {
			return s3Location{}, err
		}
		if err := json.Unmarshal(body, v); err != nil {
			return s3Location{}, err
		}
	}
	return s3Location{endpoint: address.Endpoint, bucket: address.Bucket, accessKey: keys.AccessKey, secretKey: keys.SecretKey}, nil
}

func testKills(t *testing.T, plan killPlan, b killBucket) {
	seed := killSeed(t)
	t.Logf("PLANWARM_KILL_SEED=%d", seed)
	began := time.Now()
	f := newFleet(t, marker(rand.Text()), b)
	s, err := f.startSidecar()
	if err != nil {
		t.Fatal(err)
	}
	group, ctx := errgroup.WithContext(t.Context())
	k := &sidecarKiller{fleet: f, sidecar: s, random: mrand.New(mrand.NewPCG(seed, 0)), kills: map[victim]int{}}
	group.Go(func() error { return k.run(ctx, plan) })
	writers := make([]*writer, plan.writers)
	for i := range writers {
		writers[i] = newWriter(f, mrand.New(mrand.NewPCG(seed, uint64(i+1))), plan)
		group.Go(func() error { return writers[i].run(ctx) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	tally := addUp(k, writers)
	f.check(t, k.sidecar, &tally)
	k.sidecar.stop(t)
	f.marker.awaitNone(t)
	t.Logf("%s, took %v", tally, time.Since(began).Round(time.Millisecond))
	tally.checkPlan(t)
}

func killSeed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("PLANWARM_KILL_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("PLANWARM_KILL_SEED: %v", err)
	}
	return seed
}

// sidecarKiller kills the sidecar and its server, again and again.
type sidecarKiller struct {
	fleet   *fleet
	sidecar *fleetSidecar
	random  *mrand.Rand
	kills   map[victim]int
}

// run spreads its kills over the first two thirds of the pushes.
func (k *sidecarKiller) run(ctx context.Context, p killPlan) error {
	defer k.fleet.settled.Store(true)
	var victims []victim
	for range p.sidecars {
		victims = append(victims, theSidecar)
	}
	for range p.sidecarsOwnServer {
		victims = append(victims, theSidecarsServer)
	}
	k.random.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	step := p.writers * p.pushes * 2 / 3 / len(victims)
	for i, v := range victims {
		if err := k.awaitPushes(ctx, int64(i*step+k.random.IntN(step))); err != nil {
			return err
		}
		kill := k.killSidecar
		if v == theSidecarsServer {
			kill = k.killServer
		}
		if err := kill(); err != nil {
			return err
		}
		k.kills[v]++
	}
	return nil
}

// awaitPushes waits until n pushes are acknowledged, and then up to the
// time between two recomputes, so that the sidecar is met at any moment.
func (k *sidecarKiller) awaitPushes(ctx context.Context, n int64) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(2 * time.Minute)
	var moment <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-k.sidecar.exited:
			return fmt.Errorf("sidecar that nobody killed: %w", errors.Join(errExited, k.sidecar.err))
		case <-deadline:
			return fmt.Errorf("%d of %d pushes after two minutes", k.fleet.pushed.Load(), n)
		case <-moment:
			return nil
		case <-tick.C:
			if moment == nil && k.fleet.pushed.Load() >= n {
				moment = time.After(time.Duration(k.random.Int64N(int64(pinsPoll))))
			}
		}
	}
}

func (k *sidecarKiller) killSidecar() error {
	if !k.fleet.marker.kill(k.sidecar.pid()) {
		return errors.New("sidecar could not be killed")
	}
	<-k.sidecar.exited
	if !k.sidecar.killed() {
		return fmt.Errorf("sidecar ended before it was killed: %w", k.sidecar.err)
	}
	var err error
	k.sidecar, err = k.fleet.startSidecar()
	return err
}

// killServer waits until the sidecar has started another one.
func (k *sidecarKiller) killServer() error {
	old, err := k.fleet.marker.awaitServer(k.sidecar.pid(), 0, k.sidecar.exited)
	if err != nil {
		return fmt.Errorf("find the sidecar's server: %w", err)
	}
	if !k.fleet.marker.kill(old) {
		return errors.New("the sidecar's server could not be killed")
	}
	if _, err = k.fleet.marker.awaitServer(k.sidecar.pid(), old, k.sidecar.exited); err != nil {
		return fmt.Errorf("find the sidecar's next server: %w", err)
	}
	return nil
}
