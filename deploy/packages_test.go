// Package deploy tests the npm packages: what is in them, here; what they do on
// the real gateways, under the build tag routers (make test-routers).
package deploy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	imported = regexp.MustCompile(`(?:from |import\()'([^']+)'`)
	exported = regexp.MustCompile(`(?m)^export (?:const|function|class) (\w+)`)
	declared = regexp.MustCompile(`(?m)^export declare (?:const|function|class) (\w+)`)
)

// captured are the first groups of all matches.
func captured(re *regexp.Regexp, text string) (out []string) {
	for _, m := range re.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func content(t *testing.T, parts ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestPackages: what is published has all that it imports, says what it exports,
// and is installed by the documentation under the name that it has.
func TestPackages(t *testing.T) {
	for _, dir := range []string{"hive-gateway", "apollo-gateway"} {
		t.Run(dir, func(t *testing.T) {
			var p struct {
				Version string            `json:"version"`
				License string            `json:"license"`
				Files   []string          `json:"files"`
				Peers   map[string]string `json:"peerDependencies"`
			}
			if err := json.Unmarshal([]byte(content(t, dir, "package.json")), &p); err != nil {
				t.Fatal(err)
			}
			if p.License != "Apache-2.0" || content(t, dir, "LICENSE") != content(t, "..", "LICENSE") {
				t.Error("the licence is not planwarm's")
			}
			for _, file := range p.Files {
				for _, name := range captured(imported, content(t, dir, file)) {
					own, relative := strings.CutPrefix(name, "./")
					switch {
					case strings.HasPrefix(name, "node:"):
					case relative && !slices.Contains(p.Files, own):
						t.Errorf("%s imports %s, which is not published", file, name)
					case !relative && p.Peers[name] == "":
						t.Errorf("%s imports %s, which is no peer dependency", file, name)
					}
				}
			}
			if is, says := captured(exported, content(t, dir, "index.mjs")), captured(declared, content(t, dir, "index.d.ts")); !slices.Equal(is, says) {
				t.Errorf("exports %q, the types say %q", is, says)
			}
			packed := "planwarm-" + dir + "-" + p.Version + ".tgz"
			for _, page := range []string{filepath.Join(dir, "README.md"), filepath.Join("..", "docs", "routers.md")} {
				if !regexp.MustCompile(`npm install .*` + regexp.QuoteMeta("./"+packed)).MatchString(content(t, page)) {
					t.Errorf("%s does not install %s", page, packed)
				}
			}
		})
	}
}

// TestLockFiles: a lock file names no registry, so that everybody takes theirs.
func TestLockFiles(t *testing.T) {
	locks, err := filepath.Glob("*/package-lock.json")
	if err != nil || len(locks) != 3 {
		t.Fatalf("%q, %v", locks, err)
	}
	for _, lock := range locks {
		if strings.Contains(content(t, lock), `"resolved"`) {
			t.Errorf("%s says from where a package came", lock)
		}
	}
}
