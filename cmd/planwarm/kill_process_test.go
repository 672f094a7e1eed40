//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/planwarm/planwarm/cdnsource/embedded"
)

// markerEnv is in the environment of every process that a kill test starts,
// and so of every process that those start.
const markerEnv = "PLANWARM_KILL_TEST"

// marker tells the processes of one test from all others.
type marker string

func (m marker) env() string { return markerEnv + "=" + string(m) }

// on says whether a living process has the marker. A zombie has no environment.
func (m marker) on(pid int) bool {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && slices.ContainsFunc(bytes.Split(body, []byte{0}), func(v []byte) bool { return string(v) == m.env() })
}

// living returns what still runs, with command lines.
func (m marker) living() (map[int]string, error) {
	pids, err := pids()
	if err != nil {
		return nil, err
	}
	found := map[int]string{}
	for _, pid := range pids {
		if m.on(pid) && alive(pid) {
			found[pid] = strings.Join(arguments(pid), " ")
		}
	}
	return found, nil
}

// awaitNone waits until nothing with the marker lives, which children that
// lost their parent do for as long as their last requests take.
func (m marker) awaitNone(t *testing.T) {
	t.Helper()
	const patience = 10 * time.Second
	deadline := time.Now().Add(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := m.living()
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind %v after the end: %v", patience, left)
		}
		<-tick.C
	}
}

// killAll is for a test that failed: nothing of it may stay.
func (m marker) killAll(t *testing.T) {
	left, err := m.living()
	if err != nil {
		t.Error(err)
	}
	for pid := range left {
		m.kill(pid)
	}
}

// kill sends SIGKILL to a process that has the marker and says whether it
// did. The process is held by a handle before it is looked at, so that another
// one that got the same number in between is not hit.
func (m marker) kill(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	defer func() { _ = p.Release() }() // a handle, not the process
	return m.on(pid) && p.Signal(syscall.SIGKILL) == nil
}

// serverOf returns the embedded bucket's process below parent, 0 for none.
func (m marker) serverOf(parent int) int {
	pids, err := pids()
	if err != nil {
		return 0
	}
	for _, pid := range pids {
		if pid <= 1 || parentOf(pid) != parent || !m.on(pid) {
			continue
		}
		if args := arguments(pid); len(args) == 2 && args[1] == embedded.Command {
			return pid
		}
	}
	return 0
}

// awaitServer waits for an embedded bucket below parent that is not old.
func (m marker) awaitServer(parent, old int, exited <-chan struct{}) (int, error) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if pid := m.serverOf(parent); pid != 0 && pid != old {
			return pid, nil
		}
		select {
		case <-exited:
			return 0, errExited
		case <-deadline:
			return 0, errors.New("no embedded bucket for 30 s")
		case <-tick.C:
		}
	}
}

// errExited says that a process ended before it did what was waited for.
var errExited = errors.New("process has exited")

func pids() ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var found []int
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			found = append(found, pid)
		}
	}
	if len(found) == 0 {
		return nil, errors.New("list processes: /proc shows none")
	}
	return found, nil
}

func arguments(pid int) []string {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(body), "\x00"), "\x00")
}

// stat returns state and parent of a process. Its name, which stands before
// them, may hold anything.
func stat(pid int) (state string, parent int) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0
	}
	fields := strings.Fields(string(body[bytes.LastIndexByte(body, ')')+1:]))
	if len(fields) < 2 {
		return "", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return fields[0], parent
}

func parentOf(pid int) int {
	_, parent := stat(pid)
	return parent
}

// alive says whether a process lives; a zombie does not.
func alive(pid int) bool {
	state, _ := stat(pid)
	return state != "" && state != "Z" && state != "X"
}
