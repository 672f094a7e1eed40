//go:build ceph && linux

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// TestCephKills is TestKills on the Ceph that testdata/ceph/ceph-up.sh
// started, where no process has a server of its own. It is built with the tag
// only, so that without a Ceph it does not exist rather than pass.
func TestCephKills(t *testing.T) {
	endpoint := os.Getenv("PLANWARM_CEPH_ENDPOINT")
	if endpoint == "" {
		t.Fatal("PLANWARM_CEPH_ENDPOINT is not set: start testdata/ceph/ceph-up.sh")
	}
	l := s3Location{
		endpoint: endpoint, bucket: "planwarm-kill-" + strings.ToLower(rand.Text()), prefix: "some/prefix/",
		accessKey: os.Getenv("PLANWARM_CEPH_ACCESS_KEY"), secretKey: os.Getenv("PLANWARM_CEPH_SECRET_KEY"),
	}
	if _, err := l.client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &l.bucket}); err != nil {
		t.Fatalf("create bucket: %v", err)
	}
	t.Cleanup(func() { removeBucket(t, l) })
	secrets := t.TempDir()
	for name, secret := range map[string]string{"access": l.accessKey, "secret": l.secretKey} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testKills(t, killPlan{writers: 4, pushes: 80, commands: 7, sidecars: 6}, killBucket{
		config: fmt.Sprintf("bucket: { url: s3://%s/%s, endpoint: %q, access_key_file: %[4]s/access, secret_key_file: %[4]s/secret }",
			l.bucket, strings.TrimSuffix(l.prefix, "/"), endpoint, secrets),
		location: func(string) (s3Location, error) { return l, nil },
	})
}

// removeBucket leaves nothing of the test in a Ceph that others use as well.
func removeBucket(t *testing.T, l s3Location) {
	ctx, client := context.Background(), l.client()
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &l.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Errorf("list bucket: %v", err)
			return
		}
		for _, object := range page.Contents {
			if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &l.bucket, Key: object.Key}); err != nil {
				t.Errorf("delete object: %v", err)
			}
		}
	}
	if _, err := client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &l.bucket}); err != nil {
		t.Errorf("delete bucket: %v", err)
	}
}
