package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopPatience is how long a child may take to end before it is killed.
const stopPatience = 15 * time.Second

// child is a process of this program. It ends when its standard input closes,
// so it cannot outlive the demo, however the demo ends.
type child struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer
	out   *bufio.Reader
	log   *os.File
	done  chan struct{}
	err   error
}

// start runs this program with args, and env on top of its own environment.
// What it logs goes to a file in dir.
func start(exe, dir, name string, env []string, args ...string) (*child, error) {
	log, err := os.Create(filepath.Join(dir, name+".log"))
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), log.Close())
	}
	c := &child{name: name, cmd: cmd, stdin: stdin, out: bufio.NewReader(stdout), log: log, done: make(chan struct{})}
	return c, nil
}

// wait collects the child; it is called once, after its standard output was read.
func (c *child) wait() {
	c.err = c.cmd.Wait()
	_ = c.log.Close() // the process has written what it had
	close(c.done)
}

// stop asks the child to end, and kills it when it does not. Its patience does
// not depend on the step: an interrupted demo ends its children in order too.
func (c *child) stop() error {
	_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	_ = c.stdin.Close()
	patience := time.NewTimer(stopPatience)
	defer patience.Stop()
	select {
	case <-c.done:
		return nil
	case <-patience.C:
	}
	_ = c.cmd.Process.Kill()
	<-c.done
	return fmt.Errorf("stop %s: killed after %s", c.name, stopPatience)
}

// ended says how the child ended, or nil while it runs.
func (c *child) ended() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s ended: %w; its log is %s", c.name, errors.Join(c.err, errEnded), c.log.Name())
	default:
		return nil
	}
}

var errEnded = errors.New("before its time")
