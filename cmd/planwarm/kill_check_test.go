//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// check looks for every acknowledged push, in the bucket by a plain client and
// in the manifest that is served.
func (f *fleet) check(t *testing.T, s *fleetSidecar, tally *killTally) {
	t.Helper()
	location, err := f.bucket.location(f.dataDir())
	if err != nil {
		t.Fatal(err)
	}
	plain := plainBucket{location, location.client()}
	pins, err := plain.pins(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served, err := s.nextManifest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	versions, err := plain.versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range tally.acked {
		if pins[o.text] != 1 || served[o.text] != 1 {
			tally.lost++
			t.Errorf("%s of an acknowledged push is %d times in pins.json and %d times in the manifest, want once in each", o.name, pins[o.text], served[o.text])
		}
	}
	known := map[string]bool{}
	for _, o := range slices.Concat(tally.acked, tally.unknown) {
		known[o.text] = true
	}
	for text := range pins {
		if !known[text] {
			t.Errorf("nobody pushed %q", text)
		}
	}
	for _, o := range tally.unknown {
		if pins[o.text] > 0 {
			tally.applied++
		}
	}
	tally.versions = len(versions)
	checkVersions(t, versions)
}

// checkVersions: what is once in a manifest is in every later one, since
// nobody removed anything.
func checkVersions(t *testing.T, versions []texts) {
	t.Helper()
	for i := 1; i < len(versions); i++ {
		for text := range versions[i-1] {
			if versions[i][text] == 0 {
				t.Errorf("%q is in manifest %d and not in the next one", text, i)
			}
		}
	}
}

// plainBucket is a bucket as any S3 tool sees it.
type plainBucket struct {
	s3Location
	client *s3.Client
}

// decode reads an object of JSON.
func (b plainBucket) decode(ctx context.Context, key string, v any) error {
	object, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.bucket, Key: &key})
	if err != nil {
		return err
	}
	defer object.Body.Close()
	if err := json.NewDecoder(object.Body).Decode(v); err != nil {
		return fmt.Errorf("decode %s: %w", key, err)
	}
	return nil
}

func (b plainBucket) pins(ctx context.Context) (texts, error) {
	var document struct{ Pins []requestText }
	err := b.decode(ctx, b.prefix+"default/storefront/pins.json", &document)
	return countTexts(document.Pins), err
}

// versions returns every manifest that was ever published, in order.
func (b plainBucket) versions(ctx context.Context) ([]texts, error) {
	prefix := b.prefix + "default/storefront/versions/"
	var all []texts
	pages := s3.NewListObjectsV2Paginator(b.client, &s3.ListObjectsV2Input{Bucket: &b.bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, object := range page.Contents {
			if !strings.HasSuffix(*object.Key, ".json") {
				continue // what a killed server left
			}
			var m manifestTexts
			if err := b.decode(ctx, *object.Key, &m); err != nil {
				return nil, err
			}
			all = append(all, countTexts(m.Operations))
		}
	}
	return all, nil
}

// texts counts the texts of a document.
type texts map[string]int

type requestText struct{ Request struct{ Query string } }

type manifestTexts struct {
	Sequence   uint64
	Operations []requestText
}

func countTexts(requests []requestText) texts {
	count := texts{}
	for _, r := range requests {
		count[r.Request.Query]++
	}
	return count
}

// nextManifest recomputes, and counts the texts in what is served then.
func (s *fleetSidecar) nextManifest(ctx context.Context) (texts, error) {
	want, err := s.recompute(ctx)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		var served manifestTexts
		err := s.ask(ctx, http.MethodGet, "cdn", "/v1/graphs/default/storefront/manifest", &served)
		if err == nil && served.Sequence >= want {
			return countTexts(served.Operations), nil
		}
		select {
		case <-deadline:
			return nil, fmt.Errorf("manifest %d is not served, but %d: %w", want, served.Sequence, err)
		case <-tick.C:
		}
	}
}

// killTally is what a run of the test came to.
type killTally struct {
	kills               map[victim]int
	pushes              int // acknowledged
	acked, unknown      []pushedOperation
	lost, versions      int
	applied             int // operations whose push was killed but reached the bucket
	survived, lateKills int
}

func addUp(k *sidecarKiller, writers []*writer) killTally {
	sum := killTally{kills: map[victim]int{}}
	for v, n := range k.kills {
		sum.kills[v] += n
	}
	for _, w := range writers {
		for v, n := range w.kills {
			sum.kills[v] += n
		}
		sum.pushes += w.pushes
		sum.acked = append(sum.acked, w.acked...)
		sum.unknown = append(sum.unknown, w.unknown...)
		sum.survived += w.survived
		sum.lateKills += w.late
	}
	return sum
}

// inFlight counts the kills that hit a push on its way.
func (k killTally) inFlight() int { return k.kills[theCommand] + k.kills[theCommandsServer] }

func (k killTally) all() int {
	return k.inFlight() + k.kills[theSidecar] + k.kills[theSidecarsServer]
}

func (k killTally) String() string {
	return fmt.Sprintf("%d kills (commands %d, their servers %d, sidecar %d, its server %d; %d with a push in flight, %d more came late), "+
		"%d acknowledged pushes of %d operations, %d lost, %d manifests published, %d of %d operations in the bucket though killed before the answer, %d pushes outlived their server",
		k.all(), k.kills[theCommand], k.kills[theCommandsServer], k.kills[theSidecar], k.kills[theSidecarsServer], k.inFlight(), k.lateKills,
		k.pushes, len(k.acked), k.lost, k.versions, k.applied, len(k.unknown), k.survived)
}

// checkPlan holds the test to what it is for.
func (k killTally) checkPlan(t *testing.T) {
	t.Helper()
	for _, c := range []struct {
		what       string
		have, want int
	}{
		{"kills", k.all(), 30}, {"kills with a push in flight", k.inFlight(), 20},
		{"acknowledged pushes", k.pushes, 300}, {"manifests", k.versions, 10},
	} {
		if c.have < c.want {
			t.Errorf("%d %s, want at least %d", c.have, c.what, c.want)
		}
	}
}
