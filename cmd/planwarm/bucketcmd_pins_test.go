package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
	"github.com/planwarm/planwarm/warmer"
)

func TestRm(t *testing.T) {
	t.Parallel()
	s := newShop(t, "max_operations: 9")
	s.write("same.graphql", "query Same($id: ID!) {\n product(id: $id) { title }\n}")
	s.must("push", "shop", "-f", "./me.graphql", "-f", "./same.graphql", "-f", "./title.graphql", "-f", "./tabs.graphql", "--by", "ann")
	l := s.listing()
	golden(t, s.must("rm", "shop", "Me").out, "removed Me d4b14ac46f79, pushed TIME by ann\n")
	s.refused(exitNotFound, []string{`remove pin "Nope": not found`}, "rm", "shop", "Title", "Nope")
	s.must("rm", "shop", l.Pins[0].ID[:8], "Tabs", "-q")
	if got := s.listing().names(); got != "Title:active Same:duplicate" {
		t.Errorf("stack is %s", got)
	}
	// Title and Same have one plan, so its key is not clear.
	s.refused(exitRefused, []string{"ambiguous", "name it by its id", l.Pins[2].ID}, "rm", "shop", l.Pins[2].PlanKey)
	r := decode[struct{ Removed []manifest.Pin }](t, s.must("rm", "shop", "Title", "--json").out)
	if len(r.Removed) != 1 || r.Removed[0].Request.Query != titleText {
		t.Errorf("report does not have what was removed: %+v", r)
	}
}

func TestDeny(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.must("push", "shop", "-f", "./me.graphql", "-f", "./title.graphql")
	golden(t, s.must("deny", "shop", "Me", "--reason", "load test", "--by", "ann").out, "denied operation Me: no later manifest has it\n")
	s.must("deny", "shop", "Me").check(t, exitDone, "was denied already")
	key := s.listing().Pins[0].PlanKey
	s.must("deny", "shop", key, "-q")
	l := s.listing()
	if l.names() != "Title:denied Me:denied" || len(l.Deny) != 2 || l.Deny[1].Hash != l.Deny[1].PlanKey {
		t.Errorf("listing is %s, %+v", l.names(), l.Deny)
	}
	s.must("list", "shop").check(t, exitDone, "denied: by operation name", "2 denials", "plan key or hash "+key)
	s.must("push", "shop", "-f", "./me.graphql").check(t, exitDone, "note: Me is pushed, but not in the manifest now: denied: by operation name")
	s.refused(exitRefused, []string{"neither an operation's name"}, "deny", "shop", "a b")
	s.refused(exitNotFound, []string{`remove denial "Nope": not found`}, "deny", "shop", "Nope", "--remove")
	golden(t, s.must("deny", "shop", "Me", "--remove").out, "no longer denied: operation Me\n")
	s.must("deny", "shop", key, "--remove")
	s.must("deny", "shop", l.Pins[1].ID[:10])
	if l = s.listing(); l.names() != "Me:denied Title:active" || l.Deny[0].ID != l.Pins[0].ID {
		t.Errorf("by id: listing is %s, %+v", l.names(), l.Deny)
	}
}

// fakeSidecar answers /status as a sidecar does that left something out.
func fakeSidecar(t *testing.T, token string) *httptest.Server {
	t.Helper()
	status := warmer.Status{Graphs: []warmer.GraphStatus{{
		Graph: manifest.Graph{Namespace: "default", Name: "shop"},
		Published: &warmer.PublishReport{At: time.Now(), LeftOut: []manifest.LeftOut{{
			OperationName: "Rare", PlanKey: "77", Source: manifest.SourceTelemetry, P90Ms: 12.5, Executions: 1,
			Reason: manifest.ReasonMinExecutions, Detail: "1 executions",
		}}},
	}}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" || r.Header.Get("Authorization") != "Bearer "+token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(status) // a client that went away fails its own test
	}))
	t.Cleanup(srv.Close)
	return srv
}

func TestExplain(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.publish([]manifest.Entry{measuredEntry("Title", titleText, "4176333135023652557", 412.25)})
	s.must("push", "shop", "-f", "./me.graphql", "--by", "ann")
	s.must("deny", "shop", "Title", "--reason", "too dear", "--by", "ann")
	s.write("token", "s3cret-token")
	side := []string{"--server", fakeSidecar(t, "s3cret-token").URL, "--token-file", "./token"}

	golden(t, s.must("explain", "shop", "Title").out, `in the manifest in force (version 1, 1 operation)
  place 1 of 1: Title, from telemetry by rank p90, p90 412.2 ms, 90 executions, 7 planning samples, plan key 4176333135023652557
  denied: operation Title, by ann on TIME: too dear
`)
	s.must("explain", "shop", "4176333135023652557").check(t, exitDone, "place 1 of 1: Title")
	golden(t, s.must("explain", "shop", "Me").out, `not in the manifest in force (version 1, 1 operation), but in the next one
  pushed: Me, place 1 of the stack, active, by ann on TIME
`)
	golden(t, s.must(append([]string{"explain", "shop", "77"}, side...)...).out, `not in the manifest in force (version 1, 1 operation)
  left out at the last recompute: telemetry Rare, below min executions (1 executions), p90 12.5 ms, 1 executions
`)
	e := decode[explanation](t, s.must(append([]string{"explain", "shop", "Rare", "--json"}, side...)...).out)
	if e.Verdict != verdictOut || len(e.LeftOut) != 1 || e.LeftOut[0].Reason != manifest.ReasonMinExecutions {
		t.Errorf("explanation is %+v", e)
	}
	s.must(append([]string{"explain", "shop"}, side...)...).check(t, exitDone, "Rare      telemetry  12.5", "sidecar: recomputed ")
	s.refused(exitNotFound, []string{`knows no operation "Rare"`, "only a running sidecar knows"}, "explain", "shop", "Rare")
	got := s.refused(exitFailed, []string{"status 401"}, "explain", "shop", "Rare", "--server", side[1])
	if got.out != "" {
		t.Errorf("a sidecar that was named and refused is passed over: %s", got.out)
	}
}

func TestExplainByHash(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	// The variables of this one are renamed in its plan, so hash and key differ.
	s.write("v.graphql", "query V($some: ID!) { product(id: $some) { price } }")
	s.must("push", "shop", "-f", "./v.graphql")
	key := s.listing().Pins[0].PlanKey
	r, err := readRules(t.Context(), schema.Options{File: s.path("schema.graphql")})
	if err != nil {
		t.Fatal(err)
	}
	_, hash, err := r.keyer.Key("query V($some: ID!) { product(id: $some) { price } }", "V", nil)
	if err != nil || hash == key {
		t.Fatalf("hash %s, key %s: %v", hash, key, err)
	}
	s.must("explain", "shop", hash).check(t, exitDone, "pushed: V")
}
