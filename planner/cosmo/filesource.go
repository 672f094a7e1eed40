package cosmo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// emptyList is what a router reads where there is nothing to warm.
const emptyList = `{"operations":[]}`

// MaxFileBytes bounds what is read of a file that is there already.
const MaxFileBytes = 64 << 20

// FileSource is the file that a Cosmo router on the same volume reads its
// warm-up from at its start and at every rebuild.
type FileSource struct{ path string }

// NewFileSource checks that the path can be a file.
func NewFileSource(path string) (*FileSource, error) {
	info, err := os.Stat(path)
	switch {
	case path == "":
		return nil, errors.New("new file source: no path")
	case err == nil && !info.Mode().IsRegular():
		return nil, fmt.Errorf("new file source: %s is not a file, which the router reads", path)
	}
	return &FileSource{path: path}, nil
}

// Write replaces the file in one step, so that a router reads either the old
// list or the new one, and only when it differs. A nil body means that there
// is nothing to warm now: the file stays as it is, and is made, with an empty
// list, when it is missing.
func (f *FileSource) Write(body []byte) (changed bool, err error) {
	there, err := readBounded(f.path)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("write file source: %w", err)
	case err == nil && (body == nil || bytes.Equal(there, body)):
		return false, nil
	case body == nil:
		body = []byte(emptyList)
	}
	if err := replace(f.path, body); err != nil {
		return false, fmt.Errorf("write file source: %w", err)
	}
	return true, nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only: nothing can be lost
	return io.ReadAll(io.LimitReader(f, MaxFileBytes))
}

// replace writes beside the file and renames: the mode lets a router of another
// user read it, since a manifest holds no secret.
func replace(path string, body []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(body)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}

// DefaultTouchInterval is the least time between two touches.
const DefaultTouchInterval = time.Minute

// Why a touch is not done now.
var (
	// ErrTouchTooSoon says that the file was touched or written a moment ago:
	// the router may still be rebuilding.
	ErrTouchTooSoon = errors.New("the execution config was changed a moment ago")
	// ErrTouchUnseen says that no sign of the reload after the last touch was
	// seen at every router: another touch would pile rebuild on rebuild.
	ErrTouchUnseen = errors.New("the reload after the last touch has not been seen")
)

// Toucher makes routers that watch an execution config file rebuild their
// graph, and so fetch and warm again, by a new modification time alone. They
// serve on with the old graph meanwhile.
type Toucher struct {
	path     string
	interval time.Duration
	now      func() time.Time

	mu      sync.Mutex
	touched bool
	last    map[string]int // generations of the routers at the last touch
}

// NewToucher returns a Toucher of a file that is there. interval 0 is
// DefaultTouchInterval, now nil the clock.
func NewToucher(path string, interval time.Duration, now func() time.Time) (*Toucher, error) {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("new toucher: %s is not a file that is there", path)
	}
	if interval <= 0 {
		interval = DefaultTouchInterval
	}
	if now == nil {
		now = time.Now
	}
	return &Toucher{path: path, interval: interval, now: now}, nil
}

// Touch gives the file a new modification time. generations count the reloads
// seen so far of each router that reads the file, by its name. The error wraps
// ErrTouchTooSoon or ErrTouchUnseen when it is not time for it.
func (t *Toucher) Touch(generations map[string]int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.touched && unseen(t.last, generations) {
		return fmt.Errorf("touch execution config: %w", ErrTouchUnseen)
	}
	info, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("touch execution config: %w", err)
	}
	now := t.now()
	// Whoever changed it: a deploy, another planwarm, or this one before its restart.
	if age := now.Sub(info.ModTime()); age > -t.interval && age < t.interval {
		return fmt.Errorf("touch execution config: %w", ErrTouchTooSoon)
	}
	if err := os.Chtimes(t.path, now, now); err != nil {
		return fmt.Errorf("touch execution config: %w", err)
	}
	t.touched, t.last = true, maps.Clone(generations)
	return nil
}

// unseen says whether a router has not reloaded since the last touch. One that
// came since then has started since then.
func unseen(last, now map[string]int) bool {
	if len(now) == 0 {
		return true // nobody is there who could see it
	}
	for name, g := range now {
		if before, was := last[name]; was && g <= before {
			return true
		}
	}
	return false
}
