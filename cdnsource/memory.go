package cdnsource

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

var _ Bucket = (*Memory)(nil)

// Memory is a Bucket in the memory of the process: the twin that tests run
// on. Like S3 its ETag is the MD5 of the body, so equal bodies have equal ETags.
type Memory struct {
	mu      sync.Mutex
	objects map[string]memoryObject
}

type memoryObject struct {
	body     []byte
	etag     string
	modified time.Time
	options  PutOptions
}

// NewMemory returns an empty bucket.
func NewMemory() *Memory { return &Memory{objects: map[string]memoryObject{}} }

// Get reads one object.
func (m *Memory) Get(ctx context.Context, key string, o GetOptions) (Object, error) {
	if err := ctx.Err(); err != nil {
		return Object{}, fmt.Errorf("get object: %w: %w", ErrAmbiguous, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	obj, ok := m.objects[key]
	switch {
	case !ok:
		return Object{}, fmt.Errorf("get object %s: %w", key, ErrNotFound)
	case o.IfNoneMatch != "" && o.IfNoneMatch == obj.etag:
		return Object{}, fmt.Errorf("get object %s: %w", key, ErrNotModified)
	case int64(len(obj.body)) > o.Limit:
		return Object{}, fmt.Errorf("get object %s: %w", key, ErrTooLarge)
	}
	return Object{Body: slices.Clone(obj.body), ETag: obj.etag, Modified: obj.modified}, nil
}

// Put writes one object.
func (m *Memory) Put(ctx context.Context, key string, body []byte, o PutOptions) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", fmt.Errorf("put object: %w: %w", ErrAmbiguous, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.objects[key]
	if (o.IfNoneMatch && ok) || (o.IfMatch != "" && o.IfMatch != old.etag) {
		return "", fmt.Errorf("put object %s: %w", key, ErrConflict)
	}
	sum := md5.Sum(body)
	obj := memoryObject{body: slices.Clone(body), etag: hex.EncodeToString(sum[:]), modified: time.Now(), options: o}
	m.objects[key] = obj
	return obj.etag, nil
}

// List returns entries in the order of their keys.
func (m *Memory) List(ctx context.Context, prefix, after string, limit int) ([]Listed, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list objects: %w: %w", ErrAmbiguous, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []Listed
	for _, key := range slices.Sorted(maps.Keys(m.objects)) {
		if !strings.HasPrefix(key, prefix) || key <= after {
			continue
		}
		if len(out) == limit {
			break
		}
		obj := m.objects[key]
		out = append(out, Listed{Key: key, Size: int64(len(obj.body)), Modified: obj.modified})
	}
	return out, nil
}

// Delete removes a key.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete object: %w: %w", ErrAmbiguous, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}
