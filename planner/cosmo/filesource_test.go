package cosmo

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestFileSource(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "operations.json")
	f, err := NewFileSource(path)
	if err != nil {
		t.Fatal(err)
	}
	list := `{"operations":[{"request":{"query":"{a}"}}]}`
	for i, step := range []struct {
		body    []byte
		changed bool
		want    string
	}{
		{nil, true, emptyList}, // a missing file is made
		{nil, false, emptyList},
		{[]byte(list), true, list},
		{[]byte(list), false, list},
		{nil, false, list}, // the last good list stays
	} {
		changed, err := f.Write(step.body)
		got, rerr := os.ReadFile(path)
		if err != nil || rerr != nil || changed != step.changed || string(got) != step.want {
			t.Fatalf("step %d: changed %v, %v; file %q, %v", i, changed, err, got, rerr)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v: a router of another user cannot read it", info.Mode(), err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left behind, %v", len(entries)-1, err)
	}
	if _, err := NewFileSource(dir); err == nil {
		t.Error("a folder was taken for a file")
	}
	if _, err := NewFileSource(""); err == nil {
		t.Error("an empty path was taken")
	}
	gone := &FileSource{path: filepath.Join(dir, "none", "operations.json")}
	if _, err := gone.Write([]byte(list)); err == nil {
		t.Error("wrote into a folder that is not there")
	}
}

// TestFileSourceIsReplacedWhole: whoever opened the old file reads all of it.
func TestFileSourceIsReplacedWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "operations.json")
	f, err := NewFileSource(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(`{"operations":[]} `)); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte(`{"operations":[{"request":{"query":"{a}"}}]}`)); err != nil {
		t.Fatal(err)
	}
	after, err := os.Stat(path)
	if err != nil || os.SameFile(before, after) {
		t.Errorf("the file was written in place, %v", err)
	}
}

func TestToucher(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	if _, err := NewToucher(path, 0, nil); err == nil {
		t.Fatal("a file that is not there was taken")
	}
	if err := os.WriteFile(path, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(path, now, now); err != nil {
		t.Fatal(err)
	}
	touch, err := NewToucher(path, 0, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		after       time.Duration
		generations map[string]int
		want        error
	}{
		{30 * time.Second, map[string]int{"a": 1, "b": 1}, ErrTouchTooSoon}, // a deploy has just written it
		{30 * time.Second, map[string]int{"a": 1, "b": 1}, nil},
		{10 * time.Second, map[string]int{"a": 2, "b": 2}, ErrTouchTooSoon},
		{time.Hour, map[string]int{"a": 1, "b": 1}, ErrTouchUnseen},
		{time.Hour, map[string]int{"a": 2, "b": 1}, ErrTouchUnseen}, // one router has not reloaded
		{time.Hour, map[string]int{"a": 2, "b": 3}, nil},
		{time.Hour, map[string]int{"c": 1}, nil}, // another replica took their place
		{time.Hour, nil, ErrTouchUnseen},
	} {
		now = now.Add(step.after)
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := touch.Touch(step.generations); !errors.Is(err, step.want) {
			t.Fatalf("step %d: %v, want %v", i, err, step.want)
		}
		after, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if moved := after.ModTime().Equal(now) && !before.ModTime().Equal(now); moved != (step.want == nil) {
			t.Fatalf("step %d: modification time moved: %v", i, moved)
		}
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "{}" {
		t.Errorf("the content is %q, %v", data, err)
	}
	now = now.Add(time.Hour)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := touch.Touch(map[string]int{"c": 9}); err == nil {
		t.Error("touched a file that is gone")
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a touch made a file")
	}
}
