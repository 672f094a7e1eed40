// Package bucketsuite is the behaviour that the protocol of cdnsource needs,
// as tests that run on every bucket: the twin in memory, the embedded server,
// and the storages that people use.
package bucketsuite

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/planwarm/planwarm/cdnsource"
)

const (
	writers = 16
	rounds  = 5
	patient = 2 * time.Minute
)

// Run tests a bucket. open is called once for each test; it may return the
// same bucket every time, since each test has a prefix of its own.
func Run(t *testing.T, open func(t *testing.T) cdnsource.Bucket) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, b cdnsource.Bucket, prefix string)
	}{
		{"Absent", testAbsent},
		{"RoundTrip", testRoundTrip},
		{"Limit", testLimit},
		{"Create", testCreate},
		{"Replace", testReplace},
		{"NotModified", testNotModified},
		{"EqualBodies", testEqualBodies},
		{"List", testList},
		{"Delete", testDelete},
		{"Cancelled", testCancelled},
		{"RaceCreate", testRaceCreate},
		{"RaceReplace", testRaceReplace},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t), unique()) })
	}
}

func unique() string {
	var b [8]byte
	rand.Read(b[:])
	return "suite-" + hex.EncodeToString(b[:]) + "/"
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	t.Cleanup(cancel)
	return ctx
}

func mustPut(t *testing.T, b cdnsource.Bucket, key, body string, o cdnsource.PutOptions) string {
	t.Helper()
	etag, err := b.Put(deadline(t), key, []byte(body), o)
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	if etag == "" || etag[0] == '"' {
		t.Fatalf("etag %q: want one without quotes", etag)
	}
	return etag
}

func mustGet(t *testing.T, b cdnsource.Bucket, key string) cdnsource.Object {
	t.Helper()
	obj, err := b.Get(deadline(t), key, cdnsource.GetOptions{Limit: 64 << 20})
	if err != nil {
		t.Fatalf("get: %v", err)
	}
	return obj
}

func want(t *testing.T, what string, err, sentinel error) {
	t.Helper()
	if !errors.Is(err, sentinel) {
		t.Fatalf("%s: got %v, want %v", what, err, sentinel)
	}
}

func testAbsent(t *testing.T, b cdnsource.Bucket, prefix string) {
	_, err := b.Get(deadline(t), prefix+"nothing.json", cdnsource.GetOptions{Limit: 1})
	want(t, "get of an absent key", err, cdnsource.ErrNotFound)
	_, err = b.Put(deadline(t), prefix+"nothing.json", []byte("x"), cdnsource.PutOptions{IfMatch: "d41d8cd98f00b204e9800998ecf8427e"})
	want(t, "replace of an absent key", err, cdnsource.ErrConflict)
	_, err = b.Get(deadline(t), prefix+"nothing.json", cdnsource.GetOptions{Limit: 1})
	want(t, "get after the refused replace", err, cdnsource.ErrNotFound)
}

func testRoundTrip(t *testing.T, b cdnsource.Bucket, prefix string) {
	random := make([]byte, 10<<20)
	rand.Read(random)
	for name, body := range map[string][]byte{"empty": {}, "small": []byte("{}\n"), "ten megabytes": random} {
		key := prefix + "a/b/" + hex.EncodeToString([]byte(name)) + ".json"
		before := time.Now().Add(-time.Minute)
		etag := mustPut(t, b, key, string(body), cdnsource.PutOptions{ContentType: "application/json", CacheControl: "no-store"})
		obj := mustGet(t, b, key)
		if !bytes.Equal(obj.Body, body) {
			t.Errorf("%s: read %d bytes that differ from the %d written", name, len(obj.Body), len(body))
		}
		if obj.ETag != etag {
			t.Errorf("%s: etag %q on read, %q on write", name, obj.ETag, etag)
		}
		if obj.Modified.Before(before) || obj.Modified.After(time.Now().Add(time.Minute)) {
			t.Errorf("%s: modified %v is not now", name, obj.Modified)
		}
	}
}

func testLimit(t *testing.T, b cdnsource.Bucket, prefix string) {
	mustPut(t, b, prefix+"ten", "0123456789", cdnsource.PutOptions{})
	_, err := b.Get(deadline(t), prefix+"ten", cdnsource.GetOptions{Limit: 9})
	want(t, "get of 10 bytes with a limit of 9", err, cdnsource.ErrTooLarge)
	if _, err := b.Get(deadline(t), prefix+"ten", cdnsource.GetOptions{Limit: 10}); err != nil {
		t.Fatalf("get of 10 bytes with a limit of 10: %v", err)
	}
}

func testCreate(t *testing.T, b cdnsource.Bucket, prefix string) {
	key := prefix + "versions/00000000000000000001.json"
	mustPut(t, b, key, "first", cdnsource.PutOptions{IfNoneMatch: true})
	_, err := b.Put(deadline(t), key, []byte("second"), cdnsource.PutOptions{IfNoneMatch: true})
	want(t, "second create", err, cdnsource.ErrConflict)
	if got := string(mustGet(t, b, key).Body); got != "first" {
		t.Fatalf("body %q, want that of the first create", got)
	}
}

func testReplace(t *testing.T, b cdnsource.Bucket, prefix string) {
	key := prefix + "latest.json"
	first := mustPut(t, b, key, "first", cdnsource.PutOptions{})
	second := mustPut(t, b, key, "second", cdnsource.PutOptions{IfMatch: first})
	_, err := b.Put(deadline(t), key, []byte("stale"), cdnsource.PutOptions{IfMatch: first})
	want(t, "replace with a stale etag", err, cdnsource.ErrConflict)
	obj := mustGet(t, b, key)
	if string(obj.Body) != "second" || obj.ETag != second {
		t.Fatalf("body %q, want that of the replace that was taken", obj.Body)
	}
}

func testNotModified(t *testing.T, b cdnsource.Bucket, prefix string) {
	etag := mustPut(t, b, prefix+"x", "first", cdnsource.PutOptions{})
	_, err := b.Get(deadline(t), prefix+"x", cdnsource.GetOptions{Limit: 10, IfNoneMatch: etag})
	want(t, "get of what is known", err, cdnsource.ErrNotModified)
	mustPut(t, b, prefix+"x", "second", cdnsource.PutOptions{})
	obj, err := b.Get(deadline(t), prefix+"x", cdnsource.GetOptions{Limit: 10, IfNoneMatch: etag})
	if err != nil || string(obj.Body) != "second" {
		t.Fatalf("get of what changed: %q, %v", obj.Body, err)
	}
}

// testEqualBodies states why every pointer and pins object has a nonce: an
// ETag says what the bytes are, not that nobody wrote in between.
func testEqualBodies(t *testing.T, b cdnsource.Bucket, prefix string) {
	first := mustPut(t, b, prefix+"x", "A", cdnsource.PutOptions{})
	mustPut(t, b, prefix+"x", "B", cdnsource.PutOptions{})
	again := mustPut(t, b, prefix+"x", "A", cdnsource.PutOptions{})
	if first != again {
		t.Fatalf("etags of equal bodies differ: %q, %q", first, again)
	}
	mustPut(t, b, prefix+"x", "C", cdnsource.PutOptions{IfMatch: first})
}

func testList(t *testing.T, b cdnsource.Bucket, prefix string) {
	keys := []string{"a-b/latest.json", "a.b/latest.json", "a/latest.json", "a/versions/1.json", "a/versions/2.json", "a0/latest.json", "b/pins.json"}
	for _, key := range keys {
		mustPut(t, b, prefix+key, key, cdnsource.PutOptions{})
	}
	for _, limit := range []int{1, 2, 1000} {
		var got []string
		after := ""
		for {
			page, err := b.List(deadline(t), prefix, after, limit)
			if err != nil {
				t.Fatalf("list: %v", err)
			}
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Fatalf("list of %d returned %d entries", limit, len(page))
			}
			for _, entry := range page {
				key := entry.Key[len(prefix):]
				if entry.Size != int64(len(key)) || time.Since(entry.Modified) > time.Hour {
					t.Errorf("entry %+v: wrong size or time", entry)
				}
				got = append(got, key)
			}
			after = page[len(page)-1].Key
		}
		if !slices.Equal(got, keys) {
			t.Errorf("list in pages of %d: got %q, want %q", limit, got, keys)
		}
	}
	page, err := b.List(deadline(t), prefix+"a/versions/", prefix+"a/versions/1.json", 10)
	if err != nil || len(page) != 1 || page[0].Key != prefix+"a/versions/2.json" {
		t.Errorf("list behind a key: %+v, %v", page, err)
	}
	page, err = b.List(deadline(t), prefix, prefix+"a0", 1)
	if err != nil || len(page) != 1 || page[0].Key != prefix+"a0/latest.json" {
		t.Errorf("list behind what is no key: %+v, %v", page, err)
	}
}

func testDelete(t *testing.T, b cdnsource.Bucket, prefix string) {
	mustPut(t, b, prefix+"x", "x", cdnsource.PutOptions{})
	for range 2 { // the second finds nothing, which is no error
		if err := b.Delete(deadline(t), prefix+"x"); err != nil {
			t.Fatalf("delete: %v", err)
		}
	}
	_, err := b.Get(deadline(t), prefix+"x", cdnsource.GetOptions{Limit: 1})
	want(t, "get after delete", err, cdnsource.ErrNotFound)
	mustPut(t, b, prefix+"x", "y", cdnsource.PutOptions{IfNoneMatch: true})
}

func testCancelled(t *testing.T, b cdnsource.Bucket, prefix string) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.Get(ctx, prefix+"x", cdnsource.GetOptions{Limit: 1})
	want(t, "get", err, context.Canceled)
	_, err = b.Put(ctx, prefix+"x", nil, cdnsource.PutOptions{})
	want(t, "put", err, cdnsource.ErrAmbiguous)
	want(t, "put", err, context.Canceled)
	_, err = b.List(ctx, prefix, "", 1)
	want(t, "list", err, context.Canceled)
	want(t, "delete", b.Delete(ctx, prefix+"x"), context.Canceled)
}

func testRaceCreate(t *testing.T, b cdnsource.Bucket, prefix string) {
	for round := range rounds {
		key := fmt.Sprintf("%sversions/%020d.json", prefix, round+1)
		race(t, b, key, linesOf(round), cdnsource.PutOptions{IfNoneMatch: true})
	}
}

func testRaceReplace(t *testing.T, b cdnsource.Bucket, prefix string) {
	etag := mustPut(t, b, prefix+"latest.json", "start", cdnsource.PutOptions{})
	for round := range rounds {
		etag = race(t, b, prefix+"latest.json", linesOf(round), cdnsource.PutOptions{IfMatch: etag})
	}
}

// linesOf makes the bodies of the first race 1 MB: servers cut the connection
// of a loser that is still sending.
func linesOf(round int) int {
	if round == 0 {
		return 36_000
	}
	return 500
}

// race lets all writers write one key, that many lines each, under one
// condition. Exactly one may have written; what is read is its body. It returns
// the ETag.
func race(t *testing.T, b cdnsource.Bucket, key string, lines int, o cdnsource.PutOptions) string {
	t.Helper()
	ctx := deadline(t)
	nonce := unique()
	var winner, won, unclear atomic.Int64
	winner.Store(-1)
	start := make(chan struct{})
	var group errgroup.Group
	for i := range writers {
		group.Go(func() error {
			body := bytes.Repeat(fmt.Appendf(nil, "%s%02d\n", nonce, i), lines)
			<-start
			_, err := b.Put(ctx, key, body, o)
			if err == nil {
				won.Add(1)
				winner.Store(int64(i))
				return nil
			}
			if errors.Is(err, cdnsource.ErrAmbiguous) { // a 5xx under contention says nothing: the read below tells
				unclear.Add(1)
				return nil
			}
			if errors.Is(err, cdnsource.ErrConflict) {
				return nil
			}
			return err
		})
	}
	close(start)
	if err := group.Wait(); err != nil {
		t.Fatalf("write in the race: %v", err)
	}
	t.Logf("%d writers won, %d got no usable answer", won.Load(), unclear.Load())
	obj := mustGet(t, b, key)
	if won.Load() > 1 {
		t.Fatalf("%d writers won", won.Load())
	}
	if won.Load() == 0 && unclear.Load() == 0 {
		t.Fatal("every writer was told that another one won")
	}
	line := string(obj.Body[:min(len(obj.Body), len(nonce)+3)])
	if won.Load() == 1 && line != fmt.Sprintf("%s%02d\n", nonce, winner.Load()) {
		t.Fatalf("body is that of %q, writer %d was told that it won", line, winner.Load())
	}
	if len(line) <= len(nonce) || line[:len(nonce)] != nonce || len(obj.Body) != lines*len(line) {
		t.Fatalf("body of %d bytes is that of no writer", len(obj.Body))
	}
	return obj.ETag
}
