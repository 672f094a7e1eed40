package persisted

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/planwarm/planwarm/manifest"
)

// fixture reads a file of testdata; the larger ones are kept gzipped.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	data, err := os.ReadFile(path)
	if err == nil {
		return data
	}
	packed, err := os.ReadFile(path + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if data, err = io.ReadAll(z); err != nil {
		t.Fatal(err)
	}
	return data
}

// index returns the column of INDEX.tsv for each operation, without empty cells.
func index(t *testing.T, column string) map[string]string {
	t.Helper()
	r := csv.NewReader(bytes.NewReader(fixture(t, "INDEX.tsv")))
	r.Comma = '\t'
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(rows[0], column)
	if at < 0 {
		t.Fatalf("INDEX.tsv has no column %s", column)
	}
	out := map[string]string{}
	for _, row := range rows[1:] {
		if row[at] != "" {
			out[row[0]] = row[at]
		}
	}
	return out
}

func TestEveryFormat(t *testing.T) {
	for _, c := range []struct {
		file   string
		format Format
		kind   IDKind
		column string
		count  int // 0: every operation that the column has
	}{
		{"apollo-persisted-query-manifest.json", FormatApollo, IDSHA256, "apollo_id", 0},
		{"codegen-persisted-documents.json", FormatMap, IDSHA256, "codegen_id", 0},
		{"relay-map-sha256.json", FormatMap, IDSHA256, "relay_sha256", 0},
		{"relay-map-md5.json", FormatMap, IDMD5, "relay_md5", 0},
		{"relay-pairs.json", FormatPairs, IDSHA256, "relay_sha256", 0},
		{"cosmo-pql-manifest.json", FormatCosmoPQL, IDSHA256, "sha256_file_text", 0},
		{"cosmo-operations.json", FormatCosmo, IDSHA256, "sha256_file_text", 25},
	} {
		t.Run(c.file, func(t *testing.T) {
			f, err := Read(c.file, fixture(t, c.file))
			if err != nil {
				t.Fatal(err)
			}
			if f.Format != c.format || len(f.Problems) > 0 || f.Name != c.file {
				t.Errorf("format %q, problems %v", f.Format, f.Problems)
			}
			want := index(t, c.column)
			if n := cmp.Or(c.count, len(want)); len(f.Operations) != n {
				t.Errorf("%d operations, want %d", len(f.Operations), n)
			}
			for _, op := range f.Operations {
				if op.ID != want[op.Name] || op.IDKind != c.kind {
					t.Errorf("%s: %s id %q, want %q", op.Name, op.IDKind, op.ID, want[op.Name])
				}
				if hex := strings.TrimPrefix(op.ID, "sha256:"); c.kind == IDSHA256 && op.SHA256() != hex {
					t.Errorf("%s: sha256 %q, want %q", op.Name, op.SHA256(), hex)
				}
				if c.kind != IDSHA256 && op.SHA256() != "" {
					t.Errorf("%s: %s id became a sha256", op.Name, c.kind)
				}
			}
		})
	}
}

func TestClientNames(t *testing.T) {
	for file, want := range map[string]int{"apollo-with-client-names.json": 12, "cosmo-operations.json": 25} {
		f, err := Read(file, fixture(t, file))
		if err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, op := range f.Operations {
			if op.Client != nil && op.Client.Name != "" {
				named++
			}
		}
		if len(f.Problems) > 0 || named == 0 || len(f.Operations) != want {
			t.Errorf("%s: %d operations, %d with a client, problems %v", file, len(f.Operations), named, f.Problems)
		}
	}
}

func TestIDsOfAuthors(t *testing.T) {
	f, err := Read("gql-tada-persisted.json", fixture(t, "gql-tada-persisted.json"))
	if err != nil || len(f.Problems) > 0 {
		t.Fatal(err, f.Problems)
	}
	names := index(t, "relay_sha256")
	if len(f.Operations) != len(names) {
		t.Errorf("%d operations, want %d", len(f.Operations), len(names))
	}
	for _, op := range f.Operations {
		if op.IDKind != IDCustom || op.SHA256() != "" || op.ID != "storefront/"+op.Name+"@1" {
			t.Errorf("%s: %s id %q", op.Name, op.IDKind, op.ID)
		}
	}
}

func TestFolderOfFiles(t *testing.T) {
	paths, err := filepath.Glob("testdata/cosmo-filesystem/*")
	if err != nil || len(paths) == 0 {
		t.Fatal("no files", err)
	}
	want := index(t, "sha256_file_text")
	for _, path := range paths {
		if !FileName(path) {
			t.Errorf("%s is not taken for a persisted operation", path)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(path, data)
		if err != nil || len(f.Operations) != 1 || f.Format != FormatCosmoFile {
			t.Fatalf("%+v, %v", f, err)
		}
		if op := f.Operations[0]; op.SHA256() != want[op.Name] {
			t.Errorf("%s: %s, want %s", op.Name, op.SHA256(), want[op.Name])
		}
		if f, err = Read("operation.json", data); err != nil || len(f.Problems) != 1 || len(f.Operations) != 0 {
			t.Errorf("under another name: %+v, %v", f, err)
		}
	}
	if FileName("operations.json") || FileName(strings.Repeat("0", 64)) || FileName(strings.Repeat("g", 64)+".json") {
		t.Error("another file is taken for a persisted operation")
	}
}

const good = "query Good { a }"

func apollo(operations string) string {
	return `{"format":"apollo-persisted-query-manifest","version":1,"operations":[` + operations + `]}`
}

func goodID() string { return IDSHA256.sum(good) }

// What is wrong with one entry is told with its place, and the rest is there.
func TestProblemsLeaveTheRest(t *testing.T) {
	ok := fmt.Sprintf(`{"id":"%s","name":"Good","body":"%s"}`, goodID(), good)
	zero := strings.Repeat("0", 64)
	for name, c := range map[string]struct{ body, entry, reason string }{
		"wrong hash":           {apollo(ok + `,{"id":"` + zero + `","body":"{ b }"}`), "operations[1]", "not the sha256 of the text"},
		"wrong md5":            {`{"` + goodID() + `":"` + good + `","` + zero[:32] + `":"{ b }"}`, `"` + zero[:32] + `"`, "not the md5"},
		"wrong sha1":           {`{"` + goodID() + `":"` + good + `","` + zero[:40] + `":"{ b }"}`, `"` + zero[:40] + `"`, "not the sha1"},
		"short sha256":         {`{"` + goodID() + `":"` + good + `","sha256:00":"{ b }"}`, `"sha256:00"`, "64 hexadecimal digits"},
		"duplicate in a list":  {apollo(ok + "," + ok), "operations[1]", "twice, first at operations[0]"},
		"duplicate in a map":   {`{"x":"` + good + `","x":"{ b }"}`, `"x"`, `twice, first at "x"`},
		"duplicate in pairs":   {`[["x","` + good + `"],["x","{ b }"]]`, "[1]", "twice, first at [0]"},
		"several operations":   {`{"x":"` + good + `","y":"query A { a } query B { b }"}`, `"y"`, "2 operations"},
		"fragments alone":      {`{"x":"` + good + `","y":"fragment F on T { a }"}`, `"y"`, "no operation"},
		"schema":               {`{"x":"` + good + `","y":"type T { a: Int }"}`, `"y"`, "not a GraphQL document"},
		"unbalanced":           {`{"x":"` + good + `","y":"query A { a"}`, `"y"`, "not a GraphQL document"},
		"wrong brackets":       {`{"x":"` + good + `","y":"query A { a ( } )"}`, `"y"`, "not a GraphQL document"},
		"open string":          {`{"x":"` + good + `","y":"query A { a(b: \"c) }"}`, `"y"`, "not a GraphQL document"},
		"keyword alone":        {`{"x":"` + good + `","y":"query"}`, `"y"`, "not a GraphQL document"},
		"empty":                {`{"x":"` + good + `","y":""}`, `"y"`, "no query text"},
		"empty id":             {`{"x":"` + good + `","":"{ b }"}`, `""`, "id is empty"},
		"no text":              {`{"x":"` + good + `","y":7}`, `"y"`, "id with a text"},
		"no pair":              {`[["x","` + good + `"],["y"]]`, "[1]", "list of id and text"},
		"no id":                {apollo(ok + `,{"body":"{ b }"}`), "operations[1]", "id and body"},
		"other name":           {apollo(ok + `,{"id":"y","name":"A","body":"query B { b }"}`), "operations[1]", "another name"},
		"long id":              {`{"x":"` + good + `","` + strings.Repeat("y", 2000) + `":"{ b }"}`, `"yyy`, "2000 bytes"},
		"long text":            {`{"x":"` + good + `","y":"{ ` + strings.Repeat("b ", 1<<17) + `}"}`, `"y"`, "the text has"},
		"no request":           {`{"operations":[{"request":{"query":"` + good + `"}},{"query":"{ b }"}]}`, "operations[1]", "request and client"},
		"name not in the text": {`{"operations":[{"request":{"query":"` + good + `"}},{"request":{"operationName":"A","query":"query B { b }"}}]}`, "operations[1]", "no operation of the request's name"},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Read("ops.json", []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Operations) != 1 || f.Operations[0].Text != good {
				t.Errorf("operations: %+v", f.Operations)
			}
			if len(f.Problems) != 1 || !strings.HasPrefix(f.Problems[0].Entry, c.entry) || !strings.Contains(f.Problems[0].Reason, c.reason) {
				t.Errorf("problems: %v, want %s: ...%s...", f.Problems, c.entry, c.reason)
			}
		})
	}
}

func TestUnusableFiles(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want error
	}{
		"empty":               {"", manifest.ErrMalformed},
		"truncated":           {`{"x":"{ a }"`, manifest.ErrMalformed},
		"two documents":       {`{} {}`, manifest.ErrMalformed},
		"string":              {`"x"`, manifest.ErrFormat},
		"not a manifest":      {string(fixture(t, "broken-not-a-manifest.json")), manifest.ErrFormat},
		"unknown version":     {string(fixture(t, "broken-unknown-version.json")), manifest.ErrFormat},
		"unknown format":      {`{"format":"another","version":1,"operations":[]}`, manifest.ErrFormat},
		"format of no string": {`{"format":1,"version":1,"operations":[]}`, manifest.ErrFormat},
		"apollo without list": {`{"format":"apollo-persisted-query-manifest","version":1,"operations":{}}`, manifest.ErrFormat},
		"pql version":         {`{"version":2,"revision":"r","operations":{}}`, manifest.ErrFormat},
		"pql without version": {`{"operations":{}}`, manifest.ErrFormat},
		"file version":        {`{"version":2,"body":"{ a }"}`, manifest.ErrFormat},
		"file without text":   {`{"version":1,"body":1}`, manifest.ErrFormat},
		"another object":      {`{"data":{"a":1},"errors":[]}`, manifest.ErrFormat},
		"another list":        {`[1,2,3]`, manifest.ErrFormat},
		"many":                {"[" + strings.Repeat(`["x","{ a }"],`, manifest.MaxEntries) + `["x","{ a }"]]`, manifest.ErrTooLarge},
		"large":               {`{"x":"` + strings.Repeat(" ", manifest.MaxBytes) + `"}`, manifest.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := Read("ops.json", []byte(c.body))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "ops.json") {
				t.Errorf("error %v, want %v with the file's name", err, c.want)
			}
			if len(f.Operations)+len(f.Problems) > 0 {
				t.Errorf("something was read: %+v", f)
			}
		})
	}
}

func TestBrokenID(t *testing.T) {
	f, err := Read("broken-id-mismatch.json", fixture(t, "broken-id-mismatch.json"))
	if err != nil || len(f.Operations) != 0 || len(f.Problems) != 1 {
		t.Fatalf("%+v, %v", f, err)
	}
	if want := "operations[0]: the id is not the sha256 of the text"; f.Problems[0].String() != want {
		t.Errorf("problem %q, want %q", f.Problems[0], want)
	}
}

// Tools differ in whether they hash the last newline, and in the case of digits.
func TestHashForms(t *testing.T) {
	for id, text := range map[string]string{
		IDSHA256.sum(good):                   good,
		IDSHA256.sum("{b}"):                  "{b}\n",
		IDSHA256.sum(good + "\n"):            good,
		strings.ToUpper(IDMD5.sum(good)):     good,
		"sha256:" + IDSHA256.sum(good):       good,
		IDSHA1.sum(good):                     good,
		strings.ToUpper(IDSHA256.sum("{a}")): "{a}",
	} {
		kind, err := checkID(id, text)
		if err != nil || kind == IDCustom || kind == IDNone {
			t.Errorf("%s: %s, %v", id, kind, err)
		}
	}
}

// A request of Cosmo's says whether the client sends the name.
func TestSentName(t *testing.T) {
	f, err := Read("ops.json", []byte(`{"operations":[{"request":{"query":"query A { a }"}},{"request":{"operationName":"B","query":"query A { a } query B { b }"}}]}`))
	if err != nil || len(f.Problems) > 0 || len(f.Operations) != 2 {
		t.Fatalf("%+v, %v", f, err)
	}
	if a, b := f.Operations[0], f.Operations[1]; a.Name != "A" || a.Sent != "" || b.Name != "B" || b.Sent != "B" || a.IDKind != IDNone {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestOneIDForTwoClients(t *testing.T) {
	entry := func(client string) string {
		return fmt.Sprintf(`{"id":"%s","body":"%s","clientName":"%s"}`, goodID(), good, client)
	}
	f, err := Read("ops.json", []byte(apollo(entry("web")+","+entry("ios")+","+entry("web"))))
	if err != nil || len(f.Operations) != 2 || len(f.Problems) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestOperationNames(t *testing.T) {
	for text, want := range map[string][]string{
		"{ a }":              {""},
		"query { a }":        {""},
		"query A { a { b }}": {"A"},
		"query A($x: In = {a: [1, {b: 2}]}) @d(x: {y: 1}) { a }": {"A"},
		"query @d { a }":                                              {""},
		"# { query X\nmutation M { a } # }":                           {"M"},
		`query A { a(b: "} \" {") }`:                                  {"A"},
		`query A { a(b: """} \""" " {""") }`:                          {"A"},
		`query A { a(b: "") c(d: """""") }`:                           {"A"},
		"fragment F on T { a } query A { ...F } subscription S { s }": {"A", "S"},
		"\uFEFFquery A { a }":                                         {"A"},
		"query query { a }":                                           {"query"},
		"":                                                            nil,
		"  # nothing":                                                 nil,
	} {
		got, err := operationNames(text)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
