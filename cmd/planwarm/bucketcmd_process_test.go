package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// process is planwarm as a process of its own, out of the test's binary.
func (s *shop) process(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.t.Context(), os.Args[0], s.args(args)...)
	cmd.Env = append(os.Environ(), "PLANWARM_TEST_MAIN=1")
	return cmd
}

// TestPushesAtOnce has four processes push into one bucket, each over an S3
// server of its own: whatever was acknowledged is there.
func TestPushesAtOnce(t *testing.T) {
	t.Parallel()
	const writers, pushes = 4, 5
	s := newShop(t, "max_operations: 100")
	failed := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := range pushes {
				cmd := s.process("push", "shop", "-f", "-", "-q")
				cmd.Stdin = strings.NewReader(fmt.Sprintf("query W%d_%d { me { id } }", w, i))
				if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
					failed <- fmt.Errorf("writer %d: %w: %s", w, err, out)
					return
				}
			}
			failed <- nil
		}()
	}
	for range writers {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	there := map[string]bool{}
	for _, p := range s.listing().Pins {
		there[p.Request.OperationName] = true
	}
	for w := range writers {
		for i := range pushes {
			if name := fmt.Sprintf("W%d_%d", w, i); !there[name] {
				t.Errorf("%s was acknowledged and is not there", name)
			}
		}
	}
}

func TestReadingMakesNoBucket(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.write("planwarm.yaml", fmt.Sprintf("data_dir: %q\n", s.path("nothing")))
	s.refused(exitNotFound, []string{"no embedded bucket in ./nothing"}, "list", "shop")
	if exists(s.path("nothing")) {
		t.Error("a command that only reads made a data directory")
	}
}

func TestHelpAndCompletion(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	for _, cmd := range bucketCommands(&cli{}) {
		for _, sub := range append(cmd.Commands(), cmd) {
			path := strings.Fields(strings.TrimPrefix(sub.CommandPath(), "planwarm "))
			got := s.must(append(path, "--help")...)
			for _, want := range []string{"Examples:\n", "\n  planwarm " + path[0], "--json", "Usage:"} {
				if !strings.Contains(got.out, want) {
					t.Errorf("help of %v has no %q:\n%s", path, want, got.out)
				}
			}
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := s.must("completion", shell); !strings.Contains(got.out, "planwarm") {
			t.Errorf("completion for %s is %q", shell, got.out)
		}
	}
	s.must("__complete", "list", "").check(t, exitDone, "shop\n")
	s.refused(exitUsage, []string{`unknown command "nope"`, "Try planwarm --help."}, "nope")
}
