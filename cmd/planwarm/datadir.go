package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errLocked is what lockFile returns when another process has the lock.
var errLocked = errors.New("locked")

// lockPatience is how long another process may still hold the lock: a sidecar
// that is just ending, or a child between fork and exec of one that was killed.
const (
	lockPatience = 2 * time.Second
	lockPoll     = 20 * time.Millisecond
)

// lockDataDir takes a data directory for this process until unlock is called
// or the process ends, however it ends. Two sidecars in one directory would
// overwrite one another's checkpoint, which is named after the instance, and
// the addresses that commands look up. Commands do not need the lock.
func lockDataDir(ctx context.Context, dir string) (unlock func() error, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("use data_dir: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "run.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("use data_dir: %w", err)
	}
	switch err := awaitLock(ctx, f); {
	case errors.Is(err, errLocked):
		owner, _ := io.ReadAll(io.LimitReader(f, 32)) // without it the message says less
		return nil, errors.Join(fmt.Errorf("use data_dir %s: a planwarm run uses it already%s", dir, pidText(owner)), f.Close())
	case err != nil:
		return nil, errors.Join(fmt.Errorf("use data_dir: lock %s: %w", f.Name(), err), f.Close())
	}
	// The lock is what counts; the number in the file is for the message above.
	_ = f.Truncate(0)
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0)
	return f.Close, nil
}

// awaitLock locks a file as soon as that is possible, or gives up.
func awaitLock(ctx context.Context, f *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		if err := lockFile(f); !errors.Is(err, errLocked) {
			return err
		}
		select {
		case <-ctx.Done():
			return errLocked
		case <-tick.C:
		}
	}
}

func pidText(owner []byte) string {
	if pid, err := strconv.Atoi(strings.TrimSpace(string(owner))); err == nil {
		return fmt.Sprintf(" (process %d)", pid)
	}
	return ""
}
