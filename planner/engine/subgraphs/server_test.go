package subgraphs

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/planwarm/planwarm/testdata"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const petsSDL = `
extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@external", "@requires"])
scalar DateTime
directive @tag(name: String!) on FIELD_DEFINITION
interface Animal { id: ID! name: String! @tag(name: "x") }
type Cat implements Animal @key(fields: "id") { id: ID! name: String! lives: Int! mood: Mood! }
type Dog implements Animal @key(fields: "id") @key(fields: "chip { code }") { id: ID! name: String! chip: Chip! born: DateTime! weight: Float! good: Boolean! }
type Chip { code: String! maker: String! }
union Pet = Cat | Dog
enum Mood { CALM WILD }
input NewCat { name: String! lives: Int = 9 }
type Query { cat(id: ID!): Cat pets(first: Int): [Pet!]! animals: [Animal!]! grid: [[Int!]!]! find(name: String, lives: Int): Cat }
extend type Query { late: Chip @deprecated }
type Mutation { adopt(id: ID!): Cat! create(input: NewCat!): Cat! }
extend type Vet @key(fields: "id") { id: ID! @external city: String! @external zone: String! @requires(fields: "city") }
`

func startServer(t *testing.T, sdl map[string]string) *Server {
	t.Helper()
	s, err := New(Options{SDL: sdl})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func post(t *testing.T, url, query string, variables map[string]any) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestAnswers(t *testing.T) {
	url := startServer(t, map[string]string{"pets": petsSDL}).URL("pets")
	for _, c := range []struct {
		name, query string
		variables   map[string]any
		want        string // exact, or a substring when it does not start with {
	}{
		{"an argument called like a field is its value", `{ cat(id: "c7") { id __typename } }`, nil, `{"data":{"cat":{"id":"c7","__typename":"Cat"}}}`},
		{"through a variable", `query($i: ID!) { cat(id: $i) { id } }`, map[string]any{"i": "c8"}, `{"data":{"cat":{"id":"c8"}}}`},
		{"several arguments, an Int", `{ find(name: "Tom", lives: 3) { name lives } }`, nil, `{"data":{"find":{"name":"Tom","lives":3}}}`},
		{"alias, order kept", `{ b: cat(id: "2") { x: id } a: cat(id: "1") { id } }`, nil, `{"data":{"b":{"x":"2"},"a":{"id":"1"}}}`},
		{"merged fields", `{ cat(id: "1") { id } ... { cat(id: "1") { __typename } } }`, nil, `{"data":{"cat":{"id":"1","__typename":"Cat"}}}`},
		{"skip and include", `query($y: Boolean!) { cat(id: "1") { id @skip(if: $y) a: id @include(if: $y) ...F @skip(if: true) } } fragment F on Cat { lives }`, map[string]any{"y": true}, `{"data":{"cat":{"a":"1"}}}`},
		{"first lowers a list", `{ pets(first: 0) { __typename } }`, nil, `{"data":{"pets":[]}}`},
		{"first never raises it", `{ pets(first: 90) { ... on Node__ { id } } }`, nil, `Unknown type`},
		{"mutation", `mutation { adopt(id: "9") { id } }`, nil, `{"data":{"adopt":{"id":"9"}}}`},
		{"service", `{ _service { sdl } }`, nil, `@link`},
		{"entity keeps its representation", `query($r: [_Any!]!) { _entities(representations: $r) { ... on Vet { id zone } __typename } }`,
			map[string]any{"r": []any{map[string]any{"__typename": "Vet", "id": "v1", "city": "Ulm"}}}, `"id":"v1"`},
		{"a field whose requirement was not sent", `query($r: [_Any!]!) { _entities(representations: $r) { ... on Vet { zone } } }`,
			map[string]any{"r": []any{map[string]any{"__typename": "Vet", "id": "v1"}}}, `Vet.zone requires what was not sent`},
		{"no such entity", `query($r: [_Any!]!) { _entities(representations: $r) { __typename } }`,
			map[string]any{"r": []any{map[string]any{"__typename": "Chip", "code": "x"}}}, `no entity`},
		{"unknown field", `{ cat(id: "1") { age } }`, nil, `Cannot query field`},
		{"required variable absent", `query($i: ID!) { cat(id: $i) { id } }`, nil, `must be defined`},
		{"introspection refused", `{ __schema { types { name } } }`, nil, `introspection is not served`},
		{"syntax error", `{`, nil, `errors`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := post(t, url, c.query, c.variables)
			if strings.HasPrefix(c.want, "{") && got != c.want || !strings.Contains(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestValuesFitTheirTypes(t *testing.T) {
	url := startServer(t, map[string]string{"pets": petsSDL}).URL("pets")
	var out struct {
		Data struct {
			Animals []struct {
				Typename string `json:"__typename"`
				ID       string
				Lives    *int
				Mood     *string
				Born     *string
				Weight   *float64
				Good     *bool
			}
			Grid [][]int
		}
	}
	got := post(t, url, `{ animals { __typename id ... on Cat { lives mood } ...D } grid } fragment D on Dog { born weight good chip { code maker } }`, nil)
	if err := json.Unmarshal([]byte(got), &out); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	if len(out.Data.Animals) != listLength || len(out.Data.Grid) != listLength || len(out.Data.Grid[0]) != listLength {
		t.Fatalf("lists of another length: %s", got)
	}
	for _, a := range out.Data.Animals {
		if a.Typename == "Cat" && (a.Lives == nil || a.Mood == nil || *a.Mood != "CALM" && *a.Mood != "WILD" || a.Born != nil) {
			t.Errorf("cat %+v", a)
		}
		if a.Typename == "Dog" && (a.Born == nil || a.Weight == nil || a.Good == nil || a.Lives != nil) {
			t.Errorf("dog %+v", a)
		}
	}
}

// TestEntityAgreesWithField: the same entity has the same fields whether it is
// reached by a field or by its representation, and on another server too.
func TestEntityAgreesWithField(t *testing.T) {
	first, second := startServer(t, map[string]string{"pets": petsSDL}), startServer(t, map[string]string{"pets": petsSDL})
	const fields = `{ name lives mood }`
	byField := post(t, first.URL("pets"), `{ cat(id: "c1") `+fields+` }`, nil)
	byRep := post(t, second.URL("pets"), `query($r: [_Any!]!) { _entities(representations: $r) { ... on Cat `+fields+` } }`,
		map[string]any{"r": []any{map[string]any{"__typename": "Cat", "id": "c1"}}})
	trim := func(s, prefix, suffix string) string {
		return strings.TrimSuffix(strings.TrimPrefix(s, prefix), suffix)
	}
	a, b := trim(byField, `{"data":{"cat":`, `}}`), trim(byRep, `{"data":{"_entities":[`, `]}}`)
	if a != b || !strings.Contains(a, "lives") {
		t.Errorf("by field %s, by representation %s", a, b)
	}
	other := post(t, first.URL("pets"), `{ cat(id: "c2") `+fields+` }`, nil)
	if other == byField {
		t.Errorf("two entities with the same values: %s", other)
	}
}

func TestCountsByKind(t *testing.T) {
	s := startServer(t, map[string]string{"pets": petsSDL, "toys": `type Query { toy: String }`})
	post(t, s.URL("pets"), `{ cat(id: "1") { id } }`, nil)
	post(t, s.URL("pets"), `mutation { adopt(id: "1") { id } }`, nil)
	post(t, s.URL("pets"), `{ nope }`, nil)
	want := Count{Queries: 1, Mutations: 1, Refused: 1}
	if got := s.Counts(); got["pets"] != want || got["toys"] != (Count{}) {
		t.Errorf("counts %+v", got)
	}
	res, err := http.Get(s.CountsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var page map[string]Count
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil || page["pets"] != want {
		t.Errorf("counts page %+v, %v", page, err)
	}
	if s.Total().Requests() != 3 {
		t.Errorf("total %+v", s.Total())
	}
	if s.Reset(); s.Total() != (Count{}) {
		t.Errorf("after reset %+v", s.Total())
	}
}

func TestBoundsAndPaths(t *testing.T) {
	s := startServer(t, map[string]string{"deep": `type Query { n: [N!]! } type N { n: [N!]! v: Int }`})
	query := "{ n " + strings.Repeat("{ n ", 40) + "{ v }" + strings.Repeat(" }", 41)
	if got := post(t, s.URL("deep"), query, nil); !strings.Contains(got, "too many values") {
		t.Errorf("2^40 values: %.80s", got)
	}
	for _, c := range []struct {
		url, body string
		want      int
	}{
		{s.URL("deep"), strings.Repeat(" ", maxBody+1), http.StatusRequestEntityTooLarge},
		{s.URL("other"), `{}`, http.StatusNotFound},
	} {
		res, err := http.Post(c.url, "application/json", strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: status %d, want %d", c.url, res.StatusCode, c.want)
		}
	}
}

func TestBadSDL(t *testing.T) {
	for name, sdl := range map[string]string{
		"syntax":       `type Query {`,
		"unknown type": `type Query { a: Nope }`,
		"bad key":      `type Query { a: A } type A @key(fields: "{") { id: ID! }`,
		"key of none":  `type Query { a: A } type A @key { id: ID! }`,
		"bad requires": `type Query { a: A } type A @key(fields: "id") { id: ID! b: Int @requires(fields: "{") }`,
	} {
		if _, err := New(Options{SDL: map[string]string{"s": sdl}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no SDL: accepted")
	}
	s := startServer(t, map[string]string{"pets": petsSDL})
	if err := s.Update(map[string]string{"pets": `type Query {`}); err == nil {
		t.Error("bad update accepted")
	}
	if got := post(t, s.URL("pets"), `{ cat(id: "1") { id } }`, nil); !strings.Contains(got, `"id":"1"`) {
		t.Errorf("after a bad update: %s", got)
	}
}

// storefront reads the SDL of one version of the sample graph.
func storefront(t *testing.T, folder string) map[string]string {
	t.Helper()
	files, err := fs.Glob(testdata.Storefront, "storefront/"+folder+"/*.graphql")
	if err != nil || len(files) != 6 {
		t.Fatalf("%d files in %s: %v", len(files), folder, err)
	}
	sdl := map[string]string{}
	for _, f := range files {
		b, err := fs.ReadFile(testdata.Storefront, f)
		if err != nil {
			t.Fatal(err)
		}
		sdl[strings.TrimSuffix(path.Base(f), ".graphql")] = string(b)
	}
	return sdl
}

func TestStorefrontVersions(t *testing.T) {
	s := startServer(t, storefront(t, "subgraphs"))
	const body = `{ latestReviews(first: 1) { body author { displayName } } }`
	if got := post(t, s.URL("reviews"), body, nil); !strings.Contains(got, `"displayName":"displayName `) {
		t.Errorf("v1: %s", got)
	}
	if err := s.Update(storefront(t, "subgraphs-v2")); err != nil {
		t.Fatal(err)
	}
	if got := post(t, s.URL("reviews"), body, nil); !strings.Contains(got, "Cannot query field") {
		t.Errorf("v2 still has Review.body: %s", got)
	}
	rep := map[string]any{"__typename": "StockLevel", "sku": "s1", "warehouse": map[string]any{"id": "w1"}}
	got := post(t, s.URL("inventory"), `query($r: [_Any!]!) { _entities(representations: $r) { ... on StockLevel { sku warehouse { id name } } } }`, map[string]any{"r": []any{rep}})
	if !strings.Contains(got, `"sku":"s1","warehouse":{"id":"w1","name":"name `) {
		t.Errorf("nested key: %s", got)
	}
}

func TestConcurrentRequests(t *testing.T) {
	s := startServer(t, map[string]string{"pets": petsSDL})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				id := fmt.Sprint(i, "-", j)
				if got := post(t, s.URL("pets"), `{ cat(id: "`+id+`") { id } }`, nil); !strings.Contains(got, id) {
					t.Errorf("%s: %s", id, got)
				}
			}
		})
	}
	wg.Go(func() {
		if err := s.Update(map[string]string{"pets": petsSDL}); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if got := s.Counts()["pets"].Queries; got != 80 {
		t.Errorf("%d queries counted", got)
	}
}
