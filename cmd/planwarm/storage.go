package main

import (
	"context"
	"path/filepath"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/embedded"
	"github.com/planwarm/planwarm/cdnsource/s3store"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"go.uber.org/zap"
)

// storage is an open bucket.
type storage struct {
	bucket cdnsource.Bucket
	prefix string
	url    string // as people see it
	access bucketAccess
	close  func() error
}

// bucketAccess is what an open bucket depends on. Keys are in it by value, so
// that a reload takes over keys that were exchanged.
type bucketAccess struct{ url, endpoint, region, accessKey, secretKey string }

func accessOf(b config.Bucket) (bucketAccess, error) {
	a := bucketAccess{url: b.URL, endpoint: b.Endpoint, region: b.Region}
	var err error
	if a.accessKey, err = readSecret(b.AccessKeyFile); err != nil {
		return a, err
	}
	a.secretKey, err = readSecret(b.SecretKeyFile)
	return a, err
}

// openStorage opens the configured bucket, starting the embedded one when that is configured.
func openStorage(ctx context.Context, c config.Config, announce bool, log *zap.Logger) (*storage, error) {
	access, err := accessOf(c.Bucket)
	if err != nil {
		return nil, err
	}
	if c.Bucket.URL == config.EmbeddedBucket {
		srv, err := embedded.Start(ctx, embedded.Options{Dir: filepath.Join(c.DataDir, "s3"), Announce: announce, Logger: log})
		if err != nil {
			return nil, err
		}
		return &storage{bucket: srv.Bucket(), url: "s3://" + embedded.DefaultBucket, access: access, close: srv.Close}, nil
	}
	name, prefix, err := s3store.ParseURL(c.Bucket.URL)
	if err != nil {
		return nil, err
	}
	b, err := s3store.Open(ctx, s3store.Options{
		Endpoint: c.Bucket.Endpoint, Region: c.Bucket.Region, Bucket: name, AccessKey: access.accessKey, SecretKey: access.secretKey,
	})
	if err != nil {
		return nil, err
	}
	return &storage{bucket: b, prefix: prefix, url: c.Bucket.URL, access: access, close: func() error { b.Close(); return nil }}, nil
}

// store runs the bucket protocol on the storage. sign may be nil.
func (s *storage) store(c config.Config, sign func(*manifest.Manifest) error, log *zap.Logger) (*cdnsource.Store, error) {
	return s.storeOn(s.bucket, c, sign, log)
}

// storeOn is store on a wrapped bucket.
func (s *storage) storeOn(b cdnsource.Bucket, c config.Config, sign func(*manifest.Manifest) error, log *zap.Logger) (*cdnsource.Store, error) {
	return cdnsource.NewStore(cdnsource.Options{Bucket: b, Prefix: s.prefix, Retention: c.Bucket.Retention, Sign: sign, Logger: log})
}
