package schema

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/testdata"
)

const storefront = "storefront/"

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(testdata.Storefront, storefront+name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func loadFile(t testing.TB, name string) *Schema {
	t.Helper()
	s, err := Load(fixture(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// indexed is a line of the storefront's index of operations.
type indexed struct {
	file, name, kind string
	validOnV2        bool
	valid            bool
}

func index(t testing.TB) []indexed {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(fixture(t, "operations/INDEX.tsv"))), "\n")
	var out []indexed
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		out = append(out, indexed{file: f[0], name: f[1], kind: f[2], validOnV2: f[10] == "yes", valid: f[0] != "invalid-unknown-field.graphql"})
	}
	if len(out) != 83 {
		t.Fatalf("index has %d operations, want 83", len(out))
	}
	return out
}

// sources returns every operation of the storefront, in the order of file names.
func sources(t testing.TB) []Source {
	t.Helper()
	files, err := fs.Glob(testdata.Storefront, storefront+"operations/*.graphql")
	if err != nil {
		t.Fatal(err)
	}
	var out []Source
	for _, file := range files {
		name := path.Base(file)
		list, err := ParseDocument(name, fixture(t, "operations/"+name))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, list...)
	}
	return out
}

func TestStorefrontOperations(t *testing.T) {
	s := loadFile(t, "supergraph.graphql")
	for _, want := range index(t) {
		text := string(fixture(t, "operations/"+want.file))
		op, err := s.Parse(text, want.name)
		if !want.valid {
			if err == nil {
				t.Errorf("%s: accepted", want.file)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s %s: %v", want.file, want.name, err)
			continue
		}
		if op.Name != want.name || op.Type != want.kind || op.Exact != text {
			t.Errorf("%s: got name %q, type %q", want.file, op.Name, op.Type)
		}
		again, err := s.Parse(op.Canonical, want.name)
		if err != nil {
			t.Errorf("%s: canonical text is invalid: %v", want.file, err)
			continue
		}
		if again.Canonical != op.Canonical || again.Literals {
			t.Errorf("%s: canonical text changes: %v\n%s\n%s", want.file, again.Literals, op.Canonical, again.Canonical)
		}
	}
}

func TestNoLiteralOfTheStorefrontRemains(t *testing.T) {
	s := loadFile(t, "supergraph.graphql")
	secrets := map[string][]string{
		"literals-all-kinds.graphql":        {"lamp", "vintage", "tage", "c-1", "9.99", "1.5e3", "EUR", "colour", "navy", "true", "PRICE_ASC", "12", "null"},
		"literal-block-string.graphql":      {"o-31", "OTHER", "Lovelace", "7946", "ada@"},
		"literal-personal-address.graphql":  {"cust-12", "Grace", "Hopper", "Harbour", "Leeds", "LS1", "GB"},
		"literal-negative-numbers.graphql":  {"-1", "w-2"},
		"literal-list-of-ids.graphql":       {"cust-1", "cust-2", "cust-3"},
		"literal-search-mixed.graphql":      {"gift", "bob@", "PRODUCT", "BUNDLE", "49.5"},
		"customer-by-email.graphql":         {"ada@"},
		"register-customer-inline.graphql":  {"katherine", "hunter2", "en-US", "USD", "false", "EMAIL", "SMS"},
		"order-status-inline.graphql":       {`"`},
		"anonymous-product-literal.graphql": {`"`},
	}
	seen := 0
	for _, src := range sources(t) {
		words, ok := secrets[src.File]
		if !ok {
			continue
		}
		seen++
		op, err := s.Parse(src.Text, src.Name)
		if err != nil {
			t.Fatal(err)
		}
		if !op.Literals {
			t.Errorf("%s: no literals seen", src.File)
		}
		for _, w := range words {
			if !strings.Contains(src.Text, w) {
				t.Errorf("%s does not contain %q: the test looks for the wrong thing", src.File, w)
			}
			if strings.Contains(op.Canonical, w) {
				t.Errorf("%s: %q is left in %s", src.File, w, op.Canonical)
			}
		}
	}
	if seen != len(secrets) {
		t.Errorf("%d of %d files looked at", seen, len(secrets))
	}
}

func TestEveryKindGivesTheSameOperations(t *testing.T) {
	super, cosmo := loadFile(t, "supergraph.graphql"), loadFile(t, "cosmo-execution-config.json")
	sdl, err := Load([]byte(super.ClientSDL()))
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range sources(t) {
		a, errA := super.Parse(src.Text, src.Name)
		for _, other := range []*Schema{cosmo, sdl} {
			b, errB := other.Parse(src.Text, src.Name)
			if (errA == nil) != (errB == nil) || errA == nil && a.Canonical != b.Canonical {
				t.Errorf("%s: %s differs from supergraph: %v, %v", src.File, other.Kind(), errA, errB)
			}
		}
	}
}
