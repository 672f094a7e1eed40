package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"go.uber.org/zap"
)

// childConfig is what the parent writes to the child's standard input, one
// line of JSON: an argument or the environment would show the credentials to
// every process of the machine.
type childConfig struct {
	Root        string      `json:"root"`
	Listen      string      `json:"listen"`
	Region      string      `json:"region"`
	Credentials Credentials `json:"credentials"`
}

// child is one process.
type child struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	exited chan struct{} // closed when the process is gone and err and lived are set
	err    error
	lived  time.Duration
}

// startChild starts a process and returns when it serves. The pipe at file
// descriptor 3 says so, since the process itself is the only one to know that
// it was not somebody else who took the port.
func startChild(ctx context.Context, command []string, config childConfig, log *zap.Logger) (*child, error) {
	ready, readyChild, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start child: %w", err)
	}
	defer ready.Close()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Args[0] = "planwarm"
	cmd.ExtraFiles = []*os.File{readyChild}
	out := &lineLogger{log: log}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start child: %w", err), readyChild.Close())
	}
	err = cmd.Start()
	readyChild.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start child: %w", err), stdin.Close())
	}
	c := &child{cmd: cmd, stdin: stdin, exited: make(chan struct{})}
	go c.wait(time.Now())
	line, err := c.handshake(ctx, config, ready)
	if err != nil {
		c.stop(0)
		return nil, fmt.Errorf("%w: %w", ErrStart, err)
	}
	if line != readyLine {
		c.stop(closeTimeout)
		if line == unsupportedLine {
			return nil, fmt.Errorf("%w: %w", ErrStart, ErrUnsupported)
		}
		return nil, fmt.Errorf("%w: child ended: %w", ErrStart, c.reason())
	}
	return c, nil
}

// handshake hands over the configuration and reads the line that answers it;
// the line is empty when the child ended without one.
func (c *child) handshake(ctx context.Context, config childConfig, ready *os.File) (string, error) {
	body, err := json.Marshal(config)
	if err != nil {
		return "", fmt.Errorf("encode configuration: %w", err)
	}
	if _, err := c.stdin.Write(append(body, '\n')); err != nil {
		return "", fmt.Errorf("hand over configuration: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { ready.SetReadDeadline(time.Now()) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(ready, 64)).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("wait for child: %w", context.Cause(ctx))
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("wait for child: %w", err)
	}
	return line, nil
}

func (c *child) wait(started time.Time) {
	c.err = c.cmd.Wait()
	c.lived = time.Since(started)
	close(c.exited)
}

// stop closes the child's standard input and kills it when it is not gone in time.
func (c *child) stop(patience time.Duration) {
	c.stdin.Close()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-c.exited:
		return
	case <-timer.C:
	}
	c.cmd.Process.Kill()
	<-c.exited
}

func (c *child) reason() error {
	if c.err != nil {
		return c.err
	}
	return errors.New("without an error")
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// maxLine bounds one line of the child's output in the log.
const maxLine = 2 << 10

// lineLogger is an io.Writer that logs whole lines.
type lineLogger struct {
	log  *zap.Logger
	line []byte
}

// Write never fails: a child must not die of its own output.
func (l *lineLogger) Write(p []byte) (int, error) {
	for _, b := range p {
		if b != '\n' {
			if len(l.line) < maxLine {
				l.line = append(l.line, b)
			}
			continue
		}
		if len(l.line) > 0 {
			l.log.Debug("embedded bucket says", zap.ByteString("line", l.line))
		}
		l.line = l.line[:0]
	}
	return len(p), nil
}
