package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// documented finds the blocks that are marked as planwarm's configuration, and
// namedFile the files that one names and that have to be there.
var (
	documented = regexp.MustCompile("(?s)```yaml\n# planwarm.yaml[^\n]*\n(.*?)```")
	namedFile  = regexp.MustCompile(`(?:\w+_file|file|own|touch|header_files: \{ [\w-]+): *([\w./-]+)`)
)

// TestDocumentedRouters: every planwarm.yaml in the documentation is a
// configuration that planwarm takes, and every kind of router has one.
func TestDocumentedRouters(t *testing.T) {
	var docs []string
	for _, path := range []string{"../../../docs/routers.md", "../../../README.md"} {
		doc, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !documented.Match(doc) {
			t.Errorf("%s has no configuration of planwarm", path)
		}
		docs = append(docs, string(doc))
	}
	t.Chdir(t.TempDir()) // the files that they name are made here
	var kinds []string
	for _, b := range documented.FindAllStringSubmatch(strings.Join(docs, "\n"), -1) {
		for _, name := range namedFile.FindAllStringSubmatch(b[1], -1) {
			if !filepath.IsLocal(name[1]) {
				t.Fatalf("the file %s is not below the folder of the configuration", name[1])
			}
			if err := os.MkdirAll(filepath.Dir(name[1]), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name[1], []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c, err := Parse([]byte(b[1]), none)
		if err != nil {
			t.Errorf("%v\nin\n%s", err, strings.TrimSpace(b[1]))
			continue
		}
		for _, g := range c.Graphs {
			for _, r := range g.Routers {
				kinds = append(kinds, string(r.Kind))
			}
		}
	}
	for _, kind := range routerKinds() {
		if !slices.Contains(kinds, kind) {
			t.Errorf("no configuration with a router of kind %s is documented", kind)
		}
		if !strings.Contains(docs[1], "`"+kind+"`") {
			t.Errorf("README.md does not list the kind %s", kind)
		}
	}
}
