package embedded

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/embedgw"
	"github.com/versity/versitygw/s3api"
)

// ErrUnsupported says that the file system cannot hold the bucket.
var ErrUnsupported = errors.New("the file system of the data directory has no user extended attributes (xattr): use another one, or a bucket elsewhere")

const (
	readyLine       = "ready\n"
	unsupportedLine = "no xattr\n"
	readyFD         = 3
	maxConfig       = 64 << 10
	// childPatience is how long a child may finish requests once its parent is gone.
	childPatience = 2 * time.Second

	maxConnections    = 1024
	maxRequests       = 512
	multipartMaxParts = 10_000
	copyThreshold     = 5 << 30
)

// RunChild is the child: it serves until its standard input closes and
// returns the exit code. The program calls it when its first argument is
// Command; a person has no use for it.
func RunChild() int {
	// A signal to the whole process group is for the parent, which still
	// needs its bucket to end in order.
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	stdin := bufio.NewReader(os.Stdin)
	config, err := readConfig(stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go func() {
		// End of file: the parent closed the pipe, or is dead.
		io.Copy(io.Discard, stdin)
		stop()
		time.Sleep(childPatience)
		os.Exit(0)
	}()
	if err := serve(ctx, config, os.NewFile(readyFD, "ready")); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func readConfig(r io.Reader) (childConfig, error) {
	line, err := bufio.NewReaderSize(io.LimitReader(r, maxConfig), maxConfig).ReadBytes('\n')
	if err != nil {
		return childConfig{}, fmt.Errorf("read configuration: %w", err)
	}
	var c childConfig
	if err := json.Unmarshal(line, &c); err != nil {
		return childConfig{}, errors.New("read configuration: not the line that a parent writes")
	}
	if c.Root == "" || c.Listen == "" || c.Credentials.AccessKey == "" || c.Credentials.SecretKey == "" {
		return childConfig{}, errors.New("read configuration: incomplete")
	}
	return c, nil
}

func serve(ctx context.Context, c childConfig, ready *os.File) error {
	defer ready.Close()
	if err := checkXattr(c.Root); err != nil {
		io.WriteString(ready, unsupportedLine)
		return err
	}
	backend, err := posix.New(c.Root, meta.XattrMeta{}, posix.PosixOpts{CopyObjectThreshold: copyThreshold})
	if err != nil {
		return fmt.Errorf("open directory: %w", err)
	}
	return embedgw.RunVersityGW(ctx, durable{Backend: backend, root: c.Root}, &embedgw.Config{
		RootUserAccess: c.Credentials.AccessKey, RootUserSecret: c.Credentials.SecretKey,
		Region: c.Region, Ports: []string{c.Listen},
		MaxConnections: maxConnections, MaxRequests: maxRequests, MultipartMaxParts: multipartMaxParts,
		KeepAlive: true, Quiet: true,
		S3Options: []s3api.Option{s3api.WithOnListen(func() { io.WriteString(ready, readyLine) })},
	})
}

// checkXattr writes an attribute, as every object needs: asking whether one
// is there succeeds on file systems that refuse to write it.
func checkXattr(dir string) error {
	f, err := os.CreateTemp(dir, ".xattr-*")
	if err != nil {
		return fmt.Errorf("check extended attributes: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	x, value := meta.XattrMeta{}, []byte("planwarm")
	if err := x.StoreAttribute(f, "", "", "probe", value); err != nil {
		return fmt.Errorf("check extended attributes: %w", ErrUnsupported)
	}
	if got, err := x.RetrieveAttribute(f, "", "", "probe"); err != nil || string(got) != string(value) {
		return fmt.Errorf("check extended attributes: %w", ErrUnsupported)
	}
	return nil
}
