//go:build ceph

package s3store_test

import (
	"cmp"
	"os"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/cdnsource/s3store"
)

// cephOptions are those of the Ceph that testdata/ceph/ceph-up.sh started.
// These tests are built with the tag only, so that without a Ceph they do not
// exist rather than pass.
func cephOptions(t *testing.T) s3store.Options {
	t.Helper()
	endpoint := os.Getenv("PLANWARM_CEPH_ENDPOINT")
	if endpoint == "" {
		t.Fatal("PLANWARM_CEPH_ENDPOINT is not set: start testdata/ceph/ceph-up.sh")
	}
	return s3store.Options{
		Endpoint: endpoint, Bucket: cmp.Or(os.Getenv("PLANWARM_CEPH_BUCKET"), "planwarm-suite"),
		AccessKey: os.Getenv("PLANWARM_CEPH_ACCESS_KEY"), SecretKey: os.Getenv("PLANWARM_CEPH_SECRET_KEY"),
	}
}

func open(t *testing.T, o s3store.Options) *s3store.Bucket {
	t.Helper()
	b, err := s3store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}

func TestCeph(t *testing.T) {
	o := cephOptions(t)
	b := open(t, o)
	for range 2 { // the second finds it there
		if err := b.Create(t.Context()); err != nil {
			t.Fatalf("create bucket: %v", err)
		}
	}
	same := func(*testing.T) cdnsource.Bucket { return b }
	t.Run("Bucket", func(t *testing.T) { bucketsuite.Run(t, same) })
	t.Run("Store", func(t *testing.T) { bucketsuite.RunStore(t, same) })
	unknown, wrong, absent := o, o, o
	unknown.AccessKey, wrong.SecretKey, absent.Bucket = "nobody", "not-the-secret", "planwarm-absent"
	t.Run("Refusals", func(t *testing.T) {
		bucketsuite.RunRefusals(t, bucketsuite.Refusing{UnknownKey: open(t, unknown), WrongSecret: open(t, wrong), NoBucket: open(t, absent)})
	})
}
