package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedRouters: every planwarm.yaml in docs/routers.md is a
// configuration that planwarm takes.
func TestDocumentedRouters(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/routers.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n# planwarm.yaml[^\n]*\n(.*?)```").FindAllStringSubmatch(string(doc), -1)
	if len(blocks) < 4 {
		t.Fatalf("%d configurations in the documentation", len(blocks))
	}
	t.Chdir(t.TempDir()) // the files that they name are made here
	for _, dir := range []string{"secrets", "shared"} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	named := regexp.MustCompile(`\b(?:secrets|shared)/[\w.-]+`)
	for _, b := range blocks {
		for _, path := range named.FindAllString(b[1], -1) {
			if err := os.WriteFile(filepath.Clean(path), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Parse([]byte(b[1]), none); err != nil {
			t.Errorf("%v\nin\n%s", err, strings.TrimSpace(b[1]))
		}
	}
}
