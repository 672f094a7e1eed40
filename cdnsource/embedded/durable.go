package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3response"
)

// durable acknowledges a write only when it has reached the disk: versitygw
// itself never syncs, so a power cut could take back what a push was told.
type durable struct {
	backend.Backend
	root string
}

// PutObject writes an object and syncs it and the directories above it.
func (d durable) PutObject(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	out, err := d.Backend.PutObject(ctx, in)
	if err != nil {
		return out, err
	}
	return out, syncUp(d.root, filepath.Join(d.root, aws.ToString(in.Bucket), filepath.FromSlash(aws.ToString(in.Key))))
}

// CreateBucket creates a bucket and syncs it and the directory above it.
func (d durable) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) error {
	if err := d.Backend.CreateBucket(ctx, in, acl); err != nil {
		return err
	}
	return syncUp(d.root, filepath.Join(d.root, aws.ToString(in.Bucket)))
}

// syncUp syncs a path and every directory above it, up to root: each of them
// may be new.
func syncUp(root, path string) error {
	for ; len(path) >= len(root); path = filepath.Dir(path) {
		if err := syncPath(path); err != nil {
			return err
		}
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // deleted since: nothing is left to keep
	}
	if err != nil {
		return fmt.Errorf("sync object: %w", err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync object: %w", err)
	}
	return nil
}
