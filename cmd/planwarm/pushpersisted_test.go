package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

func sha(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// jsonOf writes a text as a JSON string.
func jsonOf(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPushPersisted(t *testing.T) {
	t.Parallel()
	s := newShop(t, "max_operations: 20")
	me, title := jsonOf(t, meText), jsonOf(t, titleText)
	for name, c := range map[string]struct {
		body   string
		sha256 string
		client string
	}{
		"apollo.json":  {`{"format":"apollo-persisted-query-manifest","version":1,"operations":[{"id":"` + sha(meText) + `","name":"Me","type":"query","body":` + me + `,"clientName":"web"}]}`, sha(meText), "web"},
		"codegen.json": {`{"sha256:` + sha(meText) + `":` + me + `}`, sha(meText), ""},
		"tada.json":    {`{"shop/Me@1":` + me + `}`, "", ""},
		"pairs.json":   {`[["` + sha(meText) + `",` + me + `]]`, sha(meText), ""},
		"pql.json":     {`{"version":1,"revision":"r","operations":{"` + sha(meText) + `":` + me + `}}`, sha(meText), ""},
		"cosmo.json":   {`{"operations":[{"request":{"operationName":"Me","query":` + me + `},"client":{"name":"ios"}}]}`, "", "ios"},
	} {
		s.write(name, c.body)
		s.must("push", "shop", "-f", "./"+name)
		p := s.listing().Pins[0]
		hash, client := "", ""
		if x := p.Request.Extensions; x != nil && x.PersistedQuery != nil {
			hash = x.PersistedQuery.SHA256Hash
		}
		if p.Client != nil {
			client = p.Client.Name
		}
		if p.Request.Query != meText || p.Request.OperationName != "Me" || hash != c.sha256 || client != c.client {
			t.Errorf("%s: pushed %+v as %q", name, p.Request, client)
		}
	}
	if err := os.Mkdir(s.path("files"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.write("files/"+sha(titleText)+".json", `{"version":1,"body":`+title+`}`)
	s.must("push", "shop", "-f", "./files")
	if p := s.listing().Pins[0]; p.Request.OperationName != "Title" || p.Request.Extensions.PersistedQuery.SHA256Hash != sha(titleText) {
		t.Errorf("folder: pushed %+v", p.Request)
	}
}

// One bad entry does not keep the others out; it is told with its file and place.
func TestPushPersistedProblems(t *testing.T) {
	t.Parallel()
	s := newShop(t, "max_operations: 20")
	zero := strings.Repeat("0", 64)
	entry := func(id, body string) string { return fmt.Sprintf(`{"id":%q,"body":%s}`, id, jsonOf(t, body)) }
	head := `{"format":"apollo-persisted-query-manifest","version":1,"operations":[`
	s.write("mixed.json", head+strings.Join([]string{
		entry(sha(meText), meText), entry(zero, titleText), entry(sha(meText), meText),
		entry("tabs", tabsText), entry("gone", "{ gone }"), entry("cut", "{ me"),
	}, ",")+"]}")
	s.write("version.json", strings.Replace(head, `"version":1`, `"version":2`, 1)+"]}")

	got := s.run("push", "shop", "-f", "./mixed.json", "-f", "./version.json", "-f", "./title.graphql", "--json")
	if got.code != exitFailed {
		t.Fatalf("exit code %d\n%s%s", got.code, got.out, got.err)
	}
	var rep pushReport
	if err := json.Unmarshal([]byte(got.out), &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Added) != 2 {
		t.Errorf("%d were added, want the two that are fine", len(rep.Added))
	}
	want := map[string]string{
		"./mixed.json operations[1]": "not the sha256", "./mixed.json operations[2]": "twice", "./mixed.json operations[3]": "2 operations",
		"./mixed.json operations[4]": `Cannot query field "gone"`, "./mixed.json operations[5]": "not a GraphQL document", "./version.json ": "version is not 1",
	}
	for _, r := range rep.Refused {
		at := r.File + " " + r.Entry
		if w, ok := want[at]; !ok || !strings.Contains(r.Reason, w) {
			t.Errorf("%s is refused: %s", at, r.Reason)
		}
		delete(want, at)
	}
	for at := range want {
		t.Errorf("%s is not among the refused", at)
	}
	s.run("push", "shop", "-f", "./mixed.json").check(t, exitFailed, "not pushed: ./mixed.json operations[1]: the id is not the sha256 of the text")
	s.refused(exitRefused, []string{"./version.json", "unknown format"}, "push", "shop", "-f", "./version.json")
	s.write("bad.json", `{"`+zero+`":"{ me { id } }"}`)
	s.refused(exitRefused, []string{"./bad.json", "not the sha256"}, "push", "shop", "-f", "./bad.json")
	s.write("none.json", head+entry(zero, meText)+","+entry("gone", "{ gone }")+"]}")
	var told refusal
	if got := s.run("push", "shop", "-f", "./none.json", "--json"); got.code != exitRefused || json.Unmarshal([]byte(got.out), &told) != nil || len(told.Faults) != 2 {
		t.Fatalf("exit code %d: %s", got.code, got.out)
	}
	for i, want := range []fault{
		{File: "./none.json", Entry: "operations[0]", Message: "the id is not the sha256 of the text"},
		{File: "./none.json", Entry: "operations[1]", Line: 1, Column: 3, Rule: "FieldsOnCorrectType", Message: told.Faults[1].Message},
	} {
		if told.Faults[i] != want {
			t.Errorf("fault %d: %+v, want %+v", i, told.Faults[i], want)
		}
	}
	s.write("not.json", `{"operations":"nope"}`)
	s.refused(exitRefused, []string{"./not.json", "unknown format"}, "push", "shop", "-f", "./not.json")
}
