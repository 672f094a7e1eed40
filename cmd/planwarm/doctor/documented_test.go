package doctor_test

import (
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/cmd/planwarm/doctor"
	"go.yaml.in/yaml/v3"
)

// TestDocumentedConfigurations: the configurations that the documentation has
// for routers lack nothing that is worth more than a remark.
func TestDocumentedConfigurations(t *testing.T) {
	for _, d := range []struct {
		subject doctor.Subject
		path    string
		mark    string // how the first line of the block begins
	}{
		{doctor.Cosmo, "../../../README.md", "# config.yaml of the router"},
		{doctor.ApolloRouter, "../../../docs/routers.md", "# router.yaml of Apollo Router"},
		{doctor.HiveRouter, "../../../docs/routers.md", "# router.config.yaml of Hive Router"},
		{doctor.HiveGateway, "../../../docs/routers.md", "// gateway.config.mjs of Hive Gateway"},
		{doctor.ApolloGateway, "../../../docs/routers.md", "// server.mjs of Apollo Gateway"},
	} {
		t.Run(string(d.subject), func(t *testing.T) {
			text, err := os.ReadFile(d.path)
			if err != nil {
				t.Fatal(err)
			}
			block := regexp.MustCompile("(?s)```(yaml|js)\n(" + d.mark + "\n.*?)```").FindStringSubmatch(string(text))
			if block == nil {
				t.Fatalf("%s has no block that begins with %q", d.path, d.mark)
			}
			read := doctor.ReadSource
			if block[1] == "yaml" {
				read = func(r io.Reader) (*doctor.Document, error) {
					return doctor.Read(r, func(string) (string, bool) { return "", false })
				}
			}
			in := &doctor.Input{Graph: config.DefaultGraph(), Target: config.DefaultRouter()}
			if in.Router, err = read(strings.NewReader(block[2])); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte("kind: "+string(d.subject)), &in.Target); err != nil {
				t.Fatal(err)
			}
			findings := doctor.Run(in, d.subject)
			if len(findings) == 0 {
				t.Fatal("nothing was checked")
			}
			for _, f := range findings {
				if !f.OK && f.Severity != doctor.Info {
					t.Errorf("%s: %s (%s)", f.ID, f.What, f.Where)
				}
			}
		})
	}
}
