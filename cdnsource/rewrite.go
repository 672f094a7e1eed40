package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// MaxObjectBytes bounds an object of Rewrite and ReadObject.
const MaxObjectBytes = 32 << 20

// CheckKey reports whether a key, without a slash before it, is safe: parts as
// CheckName has them.
func CheckKey(key string) error {
	if len(key) > 2*maxPrefixLen {
		return fmt.Errorf("check key: %w: at most %d characters", ErrName, 2*maxPrefixLen)
	}
	for part := range strings.SplitSeq(key, "/") {
		if err := CheckName(part); err != nil {
			return fmt.Errorf("check key: %w", err)
		}
	}
	return nil
}

// ReadObject reads an object that others read too, at a key outside the prefix.
func (s *Store) ReadObject(ctx context.Context, key string) ([]byte, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	obj, err := s.get(ctx, key, MaxObjectBytes)
	if err != nil {
		return nil, fmt.Errorf("read object: %w", err)
	}
	return obj.Body, nil
}

// Rewrite replaces an object that others read too, at a key outside the
// prefix, by what build makes of its present body (nil: there is none). Only
// the very object that build saw is replaced; when somebody else was faster
// build is asked again. A nil body of build leaves the object as it is.
func (s *Store) Rewrite(ctx context.Context, key string, build func(current []byte) ([]byte, error)) error {
	if err := CheckKey(key); err != nil {
		return fmt.Errorf("rewrite object: %w", err)
	}
	var err error
	for attempt := range s.attempts {
		if perr := pause(ctx, attempt); perr != nil {
			return fmt.Errorf("rewrite object: %w", errors.Join(err, perr))
		}
		there, rerr := s.get(ctx, key, MaxObjectBytes)
		if rerr != nil && !errors.Is(rerr, ErrNotFound) {
			return fmt.Errorf("rewrite object: %w", rerr)
		}
		body, berr := build(there.Body)
		if berr != nil {
			return fmt.Errorf("rewrite object: %w", berr)
		}
		if body == nil {
			return nil
		}
		if len(body) > MaxObjectBytes {
			return fmt.Errorf("rewrite object: %w", ErrTooLarge)
		}
		o := PutOptions{IfMatch: there.ETag, IfNoneMatch: there.ETag == "", ContentType: typeJSON, CacheControl: cachePrivate}
		if _, err = s.bucket.Put(ctx, key, body, o); err == nil {
			return nil
		}
		if !retryable(err) {
			break
		}
	}
	return fmt.Errorf("rewrite object: %w", err)
}
