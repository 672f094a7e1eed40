package otlp

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/planwarm/planwarm/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// seenNames are the spans that each router writes, with their scope. Those of
// Apollo Router and Hive Router are from their sources: neither was seen running.
var seenNames = map[string][][2]string{
	"*otlp.Cosmo": {{"wundergraph/cosmo/router", cosmoPlanSpan}, {"wundergraph/cosmo/router", cosmoNormalizeSpan}},
	"*otlp.ApolloRouter": {
		{"apollo-router", apolloRouterSupergraph}, {"apollo-router", apolloRouterPlanning},
		{"apollo-router", apolloRouterProcess}, {"apollo-router", apolloRouterJob},
	},
	"*otlp.ApolloGateway": {{"apollo/gateway-js", apolloGatewayPlan}, {"apollo/gateway-js", apolloGatewayRequest}},
	"*otlp.HiveRouter":    {{"hive-router", hiveRouterPlan}, {"hive-router", hiveRouterOperation}, {"", hiveRouterPlan}},
	"*otlp.HiveGateway": {
		{"gateway", "gateway.schema"}, {"gateway", "POST /graphql"}, {"gateway", "graphql.operation"}, {"gateway", "graphql.operation OrderStatus"},
		{"gateway", "graphql.parse"}, {"gateway", "graphql.execute"}, {"gateway", "subgraph.execute (catalog)"},
	},
	"nobody": {
		{"gateway", "http.fetch"}, {"gateway", "graphql.validate"}, {"gateway", "gateway.initialization"}, {"apollo/gateway-js", "gateway.fetch"},
		{"hive-router", "graphql.parse"}, {"hive-router", "graphql.execute"}, {"hive-router", "graphql.subgraph.operation"},
		{"apollo-router", "parse_query"}, {"apollo-router", "execution"}, {"wundergraph/cosmo/router", "Operation - Parse"},
	},
}

// TestMappingsDoNotConflict: every span is wanted by one mapping, and by the
// right one.
func TestMappingsDoNotConflict(t *testing.T) {
	for owner, spans := range seenNames {
		for _, s := range spans {
			wanted := "nobody"
			for _, m := range DefaultMappings() {
				if !m.WantSpan(s[0], s[1]) {
					continue
				}
				if wanted != "nobody" {
					t.Errorf("%q in %q: wanted by %s and %T", s[1], s[0], wanted, m)
				}
				wanted = fmt.Sprintf("%T", m)
			}
			if wanted != owner {
				t.Errorf("%q in %q: wanted by %s, not %s", s[1], s[0], wanted, owner)
			}
		}
	}
	metrics := 0
	for _, m := range DefaultMappings() {
		if m.WantMetric(cosmoPlanningTime) {
			metrics++
		}
	}
	if metrics != 1 {
		t.Errorf("%d mappings want the planning time of Cosmo", metrics)
	}
}

// TestCapturesAreTheirRouters: no mapping but the router's own wants any span
// of its captures.
func TestCapturesAreTheirRouters(t *testing.T) {
	captures := map[string][]capture{
		"*otlp.Cosmo":         load(t, traceFolders...),
		"*otlp.ApolloGateway": gatewayCaptures(t, "apollo-gateway/otlp-json"),
		"*otlp.HiveGateway":   gatewayCaptures(t, "hive-gateway/otlp-json"),
	}
	for owner, cs := range captures {
		v := wanting{by: map[string]int{}}
		for _, c := range cs {
			_, enc, err := Detect(c.body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := DecodeTraces(c.body, enc, &v); err != nil {
				t.Fatal(err)
			}
		}
		if len(v.by) != 1 || v.by[owner] == 0 {
			t.Errorf("captures of %s are wanted by %v", owner, v.by)
		}
	}
}

// wanting counts which mappings want the spans of a body.
type wanting struct{ by map[string]int }

func (*wanting) Resource(Attributes) bool { return true }
func (*wanting) Span(*Span) error         { return nil }

func (w *wanting) WantSpan(scope, name string) bool {
	for _, m := range DefaultMappings() {
		if m.WantSpan(scope, name) {
			w.by[fmt.Sprintf("%T", m)]++
		}
	}
	return false
}

// sentSpan is a span of a body that a test makes up.
type sentSpan struct {
	name       string
	trace      byte
	id, parent byte
	took       time.Duration
	attributes map[string]any
}

// bodies writes spans as protobuf, each in a body of its own.
func bodies(t testing.TB, scope string, spans []sentSpan) (out []capture) {
	t.Helper()
	for _, s := range spans {
		tr := newTrace("a")
		tr.td.ResourceSpans().At(0).ScopeSpans().At(0).Scope().SetName(scope)
		sent := tr.add(s.name, s.id, s.parent, s.attributes)
		sent.SetTraceID(pcommon.TraceID{1, s.trace})
		sent.SetEndTimestamp(sent.StartTimestamp() + pcommon.Timestamp(s.took))
		out = append(out, capture{s.name, tr.bytes(t)})
	}
	return out
}

// inAnyOrder takes the bodies in many orders, doubled ones too, and wants the
// same events of each.
func inAnyOrder(t *testing.T, cs []capture) []telemetry.Span {
	t.Helper()
	want := events(t, cs)
	rng := rand.New(rand.NewPCG(7, 8))
	for round := range 60 {
		mixed := append([]capture(nil), cs...)
		for range round % 4 {
			mixed = append(mixed, cs[rng.IntN(len(cs))])
		}
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := events(t, mixed); !reflect.DeepEqual(got, want) {
			t.Fatalf("round %d: %+v, want %+v", round, got, want)
		}
	}
	return want
}

// TestApolloRouter on spans made up as its sources have them.
func TestApolloRouter(t *testing.T) {
	doc := func(name string) map[string]any {
		return map[string]any{"graphql.document": "query " + name + " { x }", "graphql.operation.name": name}
	}
	cs := bodies(t, "apollo-router", []sentSpan{
		// A miss, with the parsing as a job that is not below planning.
		{"parse_query", 1, 3, 9, time.Millisecond, nil},
		{apolloRouterJob, 1, 4, 3, time.Millisecond, nil},
		{apolloRouterSupergraph, 1, 5, 9, time.Second, doc("Miss")},
		{apolloRouterPlanning, 1, 6, 5, 40 * time.Millisecond, nil},
		{apolloRouterJob, 1, 7, 6, 30 * time.Millisecond, nil},
		// A hit.
		{apolloRouterSupergraph, 2, 5, 9, time.Second, doc("Hit")},
		{apolloRouterPlanning, 2, 6, 5, time.Millisecond, nil},
		// A miss with a span between.
		{apolloRouterSupergraph, 3, 5, 9, time.Second, doc("Below")},
		{apolloRouterPlanning, 3, 6, 5, 20 * time.Millisecond, nil},
		{apolloRouterProcess, 3, 7, 6, 19 * time.Millisecond, nil},
		{apolloRouterJob, 3, 8, 7, 18 * time.Millisecond, nil},
		// The router's own warm-up.
		{apolloRouterPlanning, 4, 6, 5, 20 * time.Millisecond, nil},
		{apolloRouterJob, 4, 7, 6, 19 * time.Millisecond, nil},
	})
	got := map[string]string{}
	for _, s := range inAnyOrder(t, cs) {
		if want := "query " + s.Op.Name + " { x }"; s.Document != want {
			t.Errorf("text %q, want %q", s.Document, want)
		}
		got[s.Op.Name] += fmt.Sprintf("hit=%t counted=%t %s;", s.Hit, s.Counted, s.Duration)
	}
	want := map[string]string{
		"Miss":  "hit=true counted=false 0s;hit=false counted=true 40ms;",
		"Hit":   "hit=true counted=false 0s;",
		"Below": "hit=true counted=false 0s;hit=false counted=true 20ms;",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestOwnPlansAreNoDemand: a span that names planwarm as its client counts for
// nothing, and one that names another client, or none, is a request.
func TestOwnPlansAreNoDemand(t *testing.T) {
	request := func(name, key, client string) map[string]any {
		return map[string]any{"graphql.document": "query " + name + " { x }", "graphql.operation.name": name, key: client}
	}
	routers := map[string][]sentSpan{
		"apollo-router": {
			{apolloRouterSupergraph, 1, 5, 9, time.Second, request("Own", "client.name", "planwarm")},
			{apolloRouterPlanning, 1, 6, 5, 40 * time.Millisecond, nil},
			{apolloRouterJob, 1, 7, 6, 30 * time.Millisecond, nil},
			{apolloRouterSupergraph, 2, 5, 9, time.Second, request("Web", "client.name", "web")},
			{apolloRouterPlanning, 2, 6, 5, 40 * time.Millisecond, nil},
			{apolloRouterSupergraph, 3, 5, 9, time.Second, request("Nameless", "client.version", "1")},
			{apolloRouterPlanning, 3, 6, 5, 40 * time.Millisecond, nil},
		},
		"apollo/gateway-js": {
			{apolloGatewayRequest, 1, 5, 9, time.Second, request("Own", "apollographql-client-name", "planwarm")},
			{apolloGatewayPlan, 1, 6, 5, 40 * time.Millisecond, nil},
			{apolloGatewayRequest, 2, 5, 9, time.Second, request("Web", "apollographql-client-name", "web")},
			{apolloGatewayRequest, 3, 5, 9, time.Second, request("Nameless", "apollographql-client-version", "1")},
		},
	}
	want := map[string]telemetry.Client{"Web": {Name: "web"}, "Nameless": {Version: "1"}}
	for scope, spans := range routers {
		canonical := func(text, name string) (telemetry.Canonical, error) {
			return telemetry.Canonical{Text: text, Name: name, Key: text}, nil
		}
		table, err := telemetry.NewTable(telemetry.Options{Canonical: canonical, OwnClient: "planwarm"})
		if err != nil {
			t.Fatal(err)
		}
		r := receiver(t, table)
		take(t, r, "http", Traces, bodies(t, scope, spans)...)
		r.Flush()
		got := map[string]telemetry.Client{}
		for _, u := range table.Usages(arrival, telemetry.DefaultWindow) {
			if u.Executions != 1 {
				t.Errorf("%s: %s has %d executions", scope, u.Name, u.Executions)
			}
			for c := range u.Clients {
				got[u.Name] = c
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: counted %v, want %v", scope, got, want)
		}
	}
}

// TestHiveRouter on spans made up as its sources have them.
func TestHiveRouter(t *testing.T) {
	cs := bodies(t, "hive-router", []sentSpan{
		{hiveRouterOperation, 1, 1, 9, time.Second, map[string]any{
			"graphql.document": "query A { x }", "graphql.operation.name": "A", "graphql.operation.type": "query",
			"hive.graphql.operation.hash": "aa", "hive.client.name": "web", "hive.client.version": "2",
		}},
		{hiveRouterPlan, 1, 2, 1, 12 * time.Millisecond, map[string]any{"cache.hit": false}},
		{"graphql.parse", 1, 3, 1, time.Millisecond, map[string]any{"cache.hit": false}},
		{"graphql.execute", 1, 4, 1, time.Millisecond, nil},
		// The exporter stripped the text.
		{hiveRouterOperation, 2, 1, 9, time.Second, map[string]any{"graphql.operation.name": "B", "hive.graphql.operation.hash": "bb"}},
		{hiveRouterPlan, 2, 2, 1, 3 * time.Millisecond, map[string]any{"cache.hit": true}},
	})
	got := inAnyOrder(t, cs)
	if len(got) != 2 {
		t.Fatalf("%d events", len(got))
	}
	a, b := got[0], got[1]
	if a.Hit || a.Counted || a.Duration != 12*time.Millisecond || a.Document != "query A { x }" ||
		a.Op != (telemetry.Operation{SourceHash: "aa", Name: "A", Type: "query", Client: telemetry.Client{Name: "web", Version: "2"}}) {
		t.Errorf("miss: %+v", a)
	}
	if !b.Hit || b.Document != "" || b.Op.Hash != "bb" {
		t.Errorf("hit without text: %+v", b)
	}
}

// TestUnattributed: a router that lacks a setting is told so.
func TestUnattributed(t *testing.T) {
	cases := []struct {
		scope string
		span  sentSpan
	}{
		{"apollo/gateway-js", sentSpan{name: apolloGatewayRequest, attributes: map[string]any{"graphql.operation.name": "A"}}},
		{"apollo/gateway-js", sentSpan{name: apolloGatewayRequest, attributes: map[string]any{"graphql.document": strings.Repeat("x", maxText+1)}}},
		{"apollo-router", sentSpan{name: apolloRouterSupergraph}},
		{"hive-router", sentSpan{name: hiveRouterOperation}},
		{"hive-router", sentSpan{name: hiveRouterPlan, attributes: map[string]any{"cache.hit": 1}}},
		{hiveGatewayScope, sentSpan{name: hiveGatewayOperation}},
	}
	for _, c := range cases {
		c.span.id = 1
		var rec recorder
		r := receiver(t, &rec)
		sum := take(t, r, "http", Traces, bodies(t, c.scope, []sentSpan{c.span})...)
		r.Flush()
		if sum.Outcomes[Unattributed] != 1 || len(rec.spans) != 0 {
			t.Errorf("%s of %s: %+v, %d events", c.span.name, c.scope, sum, len(rec.spans))
		}
	}
}

// TestPlanningThatEndsBeforeItStarts is malformed with every router.
func TestPlanningThatEndsBeforeItStarts(t *testing.T) {
	for _, name := range []string{apolloGatewayPlan, apolloRouterPlanning, hiveRouterPlan, cosmoPlanSpan} {
		cs := bodies(t, "", []sentSpan{{name: name, id: 1, took: -time.Millisecond}})
		var rec recorder
		if s, err := receiver(t, &rec).Take(arrival, "http", Traces, Protobuf, cs[0].body); err != nil || s.Rejected != 1 {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
	}
}

// TestWaitingIsBounded: parts that nobody fetches fall out, oldest first.
func TestWaitingIsBounded(t *testing.T) {
	w := newWaiting[int](10, func(s string) int { return len(s) })
	w.maxBytes = 100
	for i := range 1000 {
		w.put(i, strings.Repeat("x", 30))
		w.put(i, strings.Repeat("x", 29))
		if w.bytes != 29*w.parts.Len() || w.parts.Len() > 3 {
			t.Fatalf("after %d: %d bytes in %d parts", i, w.bytes, w.parts.Len())
		}
	}
	if _, ok := w.take(990); ok {
		t.Error("an old part is still there")
	}
	if s, ok := w.take(999); !ok || len(s) != 29 || w.bytes != 58 {
		t.Errorf("%q, %t, %d bytes", s, ok, w.bytes)
	}
}

// TestHiveGatewayIsBounded: traces that never become complete are told of
// when they are too many, and a trace of many spans keeps a few.
func TestHiveGatewayIsBounded(t *testing.T) {
	var rec recorder
	m := NewHiveGateway()
	text := strings.Repeat("x", maxText)
	for i := range 200 {
		s := Span{
			Name: hiveGatewayOperation, TraceID: [16]byte{1, byte(i)}, SpanID: [8]byte{1}, Start: uint64(i + 1),
			Attributes: Attributes{{Key: "graphql.document", Kind: KindString, Text: text}},
		}
		if _, err := m.Span(arrival, &s, &rec); err != nil {
			t.Fatal(err)
		}
		if m.bytes > joinBytes {
			t.Fatalf("%d bytes held", m.bytes)
		}
	}
	if want := 200 - joinBytes/(maxText+hiveSpanSize); len(rec.spans) != want {
		t.Errorf("%d events, want %d", len(rec.spans), want)
	}
	m.Settle(arrival.Add(time.Hour))
	if m.bytes != 0 || m.traces.Len() != 0 {
		t.Errorf("%d bytes in %d traces after all are told", m.bytes, m.traces.Len())
	}
	// Many spans without a text, of long names.
	name := strings.Repeat("n", maxName)
	for i := range 1000 * hiveSpans {
		s := Span{
			Name: hiveGatewayOperation, TraceID: [16]byte{3, byte(i / hiveSpans), byte(i / hiveSpans >> 8)}, SpanID: [8]byte{byte(i), 1}, Start: 1,
			Attributes: Attributes{{Key: "hive.graphql.operation.hash", Kind: KindString, Text: name}, {Key: "graphql.operation.name", Kind: KindString, Text: name}},
		}
		if _, err := m.Span(arrival, &s, &rec); err != nil {
			t.Fatal(err)
		}
	}
	if held := m.traces.Len() * hiveSpans * 2 * maxName; held > joinBytes || m.bytes > joinBytes {
		t.Errorf("%d bytes of names are held, %d accounted", held, m.bytes)
	}
	for i := range 10 * hiveSpans {
		s := Span{Name: hiveGatewayParse, TraceID: [16]byte{2}, SpanID: [8]byte{byte(i), byte(i >> 8)}}
		if _, err := m.Span(arrival, &s, &rec); err != nil {
			t.Fatal(err)
		}
	}
	if tr, _ := m.traces.Get(joinKey{trace: [16]byte{2}}); len(tr.spans) != hiveSpans {
		t.Errorf("%d spans of one trace", len(tr.spans))
	}
}

// TestHiveCache follows the gateway's cache: an hour from the planning, not
// extended by use, and nothing outlives a schema load.
func TestHiveCache(t *testing.T) {
	at := func(d time.Duration) uint64 { return uint64(1_000_000*time.Hour + d) }
	c := newHiveCache()
	c.load(at(30 * time.Minute))
	steps := []struct {
		after time.Duration
		text  string
		held  bool
	}{
		{0, "a", false}, {time.Minute, "a", true}, {time.Minute, "b", false},
		{31 * time.Minute, "a", false}, {32 * time.Minute, "a", true}, {90 * time.Minute, "a", true},
		{91 * time.Minute, "a", false}, {92 * time.Minute, "a", true},
	}
	for _, s := range steps {
		if got := c.holds(s.text, at(s.after)); got != s.held {
			t.Errorf("%s after %s: held %t, want %t", s.text, s.after, got, s.held)
		}
	}
	for i := range 1000 {
		c.load(uint64(i))
	}
	if len(c.loads) != hiveLoads {
		t.Errorf("%d loads remembered", len(c.loads))
	}
}

// TestScopeBehindSpans: JSON may have the scope after the spans.
func TestScopeBehindSpans(t *testing.T) {
	const span = `{"traceId":"01000000000000000000000000000000","spanId":"0100000000000000","name":"s","startTimeUnixNano":"1","endTimeUnixNano":2}`
	for _, body := range []string{
		`{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"x"},"spans":[` + span + `]}]}]}`,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[` + span + `],"scope":{"version":"1","name":"x"}}]}]}`,
	} {
		v := scopes{}
		if res, err := DecodeTraces([]byte(body), JSON, &v); err != nil || res.Items != 1 || v["x"] != 1 {
			t.Errorf("%s: %v, %+v, %v", body, err, res, v)
		}
	}
	td := ptrace.NewTraces()
	ss := td.ResourceSpans().AppendEmpty().ScopeSpans()
	ss.AppendEmpty().Scope().SetName("x")
	ss.AppendEmpty() // without a scope
	for i := range 2 {
		s := ss.At(i).Spans().AppendEmpty()
		s.SetTraceID(pcommon.TraceID{1})
		s.SetSpanID(pcommon.SpanID{1})
	}
	v := scopes{}
	if _, err := DecodeTraces((&trace{td: td}).bytes(t), Protobuf, &v); err != nil || v["x"] != 1 || v[""] != 1 {
		t.Errorf("%v, %v", err, v)
	}
}

// scopes counts spans by their scope.
type scopes map[string]int

func (scopes) Resource(Attributes) bool  { return true }
func (scopes) WantSpan(_, _ string) bool { return true }

func (c scopes) Span(s *Span) error {
	c[s.Scope]++
	return nil
}
