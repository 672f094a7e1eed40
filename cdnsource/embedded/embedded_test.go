package embedded_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/planwarm/planwarm/cdnsource"
	"github.com/planwarm/planwarm/cdnsource/bucketsuite"
	"github.com/planwarm/planwarm/cdnsource/embedded"
	"github.com/planwarm/planwarm/cdnsource/s3store"
)

// TestMain lets the test binary be the child that it starts.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == embedded.Command {
		os.Exit(embedded.RunChild())
	}
	if len(os.Args) > 2 && os.Args[1] == parentCommand {
		os.Exit(runParent(os.Args[2]))
	}
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, dir string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, Logger: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestBucket(t *testing.T) {
	s := start(t, t.TempDir())
	bucketsuite.Run(t, func(*testing.T) cdnsource.Bucket { return s.Bucket() })
}

func TestStore(t *testing.T) {
	s := start(t, t.TempDir())
	bucketsuite.RunStore(t, func(*testing.T) cdnsource.Bucket { return s.Bucket() })
}

func TestRefusals(t *testing.T) {
	s := start(t, t.TempDir())
	unknown, wrong, absent := s.Options(), s.Options(), s.Options()
	unknown.AccessKey, wrong.SecretKey, absent.Bucket = "nobody", "not-the-secret", "planwarm-absent"
	bucketsuite.RunRefusals(t, bucketsuite.Refusing{UnknownKey: open(t, unknown), WrongSecret: open(t, wrong), NoBucket: open(t, absent)})
}

func open(t *testing.T, o s3store.Options) *s3store.Bucket {
	t.Helper()
	b, err := s3store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(b.Close)
	return b
}
