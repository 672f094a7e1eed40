package embedded

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3response"
)

// putter is a backend whose writes leave what it is told.
type putter struct {
	backend.Backend
	leave func(path string) error
	root  string
}

func (p putter) PutObject(_ context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	return s3response.PutObjectOutput{}, p.leave(filepath.Join(p.root, *in.Bucket, *in.Key))
}

// TestDurable: a write that cannot be synced is not acknowledged, one that
// was deleted again meanwhile is.
func TestDurable(t *testing.T) {
	refused := errors.New("refused")
	for name, test := range map[string]struct {
		leave func(path string) error
		want  error
	}{
		"written":          {func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) }, nil},
		"refused":          {func(string) error { return refused }, refused},
		"not to be synced": {func(path string) error { return os.Symlink(path, path) }, syscall.ELOOP},
		"gone again":       {func(string) error { return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "bucket", "a", "b"), 0o700); err != nil {
				t.Fatal(err)
			}
			d := durable{Backend: putter{leave: test.leave, root: root}, root: root}
			_, err := d.PutObject(t.Context(), s3response.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("a/b/c.json")})
			if !errors.Is(err, test.want) {
				t.Fatalf("put: %v, want %v", err, test.want)
			}
		})
	}
}

// TestCheckXattr: the directory that the tests run in can hold a bucket; a
// directory that takes no files cannot.
func TestCheckXattr(t *testing.T) {
	if err := checkXattr(t.TempDir()); err != nil {
		t.Errorf("temporary directory: %v", err)
	}
	if err := checkXattr("/proc/self"); err == nil {
		t.Error("/proc was taken")
	}
}
