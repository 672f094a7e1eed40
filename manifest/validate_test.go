package manifest

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestValidateNamesEveryFault(t *testing.T) {
	long := strings.Repeat("n", MaxNameBytes+1)
	tooMany := make(map[string]bool)
	for i := range MaxConditions + 1 {
		tooMany[strconv.Itoa(i)] = true
	}
	bad := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	e := func(change func(*Entry)) func(*Manifest) {
		return func(m *Manifest) { change(&m.Operations[1]) }
	}
	tests := []struct {
		says   string
		change func(*Manifest)
	}{
		{"graph.namespace: empty", func(m *Manifest) { m.Graph.Namespace = "" }},
		{"graph.namespace: contains a slash", func(m *Manifest) { m.Graph.Namespace = "a/b" }},
		{"graph.name: empty, or has an empty or relative part", func(m *Manifest) { m.Graph.Name = "a/../b" }},
		{"graph.name: contains a control", func(m *Manifest) { m.Graph.Name = "a\nb" }},
		{"graph.name: 1025 bytes", func(m *Manifest) { m.Graph.Name = long }},
		{"writer: not valid UTF-8", func(m *Manifest) { m.Writer = "\xff" }},
		{"generatedAt: year", func(m *Manifest) { m.GeneratedAt = bad }},
		{"schema: not sha256:", func(m *Manifest) { m.Schema = "sha256:12" }},
		{"window: not a positive", func(m *Manifest) { m.Window = "7d" }},
		{"rank: not one of", func(m *Manifest) { m.Rank = "best" }},
		{"signature.key: empty", func(m *Manifest) { m.Signature = &Signature{Ed25519: strings.Repeat("A", 86) + "=="} }},
		{"signature.ed25519: not 64 bytes", func(m *Manifest) { m.Signature = &Signature{Key: "k", Ed25519: "AAAA"} }},
		{"operations[1].request: no query", e(func(e *Entry) { e.Request.Query = "" })},
		{"operations[1].request.query: 262145 bytes", e(func(e *Entry) { e.Request.Query = strings.Repeat("q", MaxQueryBytes+1) })},
		{"operations[1].request.query: not valid UTF-8", e(func(e *Entry) { e.Request.Query = "\xc3" })},
		{"operations[1].request.operationName: 1025 bytes", e(func(e *Entry) { e.Request.OperationName = long })},
		{"operations[1].request.extensions.persistedQuery.sha256Hash: not", e(func(e *Entry) {
			e.Request.Extensions = &Extensions{PersistedQuery: &PersistedQuery{SHA256Hash: strings.ToUpper(testSchema[7:]), Version: 1}}
		})},
		{"operations[1].request.extensions.persistedQuery.version: not 1", e(func(e *Entry) {
			e.Request.Extensions = &Extensions{PersistedQuery: &PersistedQuery{SHA256Hash: testSchema[7:]}}
		})},
		{"operations[1].client.name: 1025", e(func(e *Entry) { e.Client = &Client{Name: long} })},
		{"operations[1].client.version: 1025", e(func(e *Entry) { e.Client = &Client{Version: long} })},
		{"operations[1].planwarm.source: not one of", e(func(e *Entry) { e.Planwarm.Source = "" })},
		{"operations[1].planwarm.type: not one of", e(func(e *Entry) { e.Planwarm.Type = "Query" })},
		{"operations[1].planwarm.planKey: not an unsigned", e(func(e *Entry) { e.Planwarm.PlanKey = "-1" })},
		{"operations[1].planwarm.planKey: not an unsigned", e(func(e *Entry) { e.Planwarm.PlanKey = "007" })},
		{"operations[1].planwarm.planKey: not an unsigned", e(func(e *Entry) { e.Planwarm.PlanKey = "18446744073709551616" })},
		{"operations[1]: plan key 7 is also in operations[0]", e(func(e *Entry) { e.Planwarm.PlanKey = "7" })},
		{"operations[1]: plan key 7 is also in operations[0]", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{PlanKey: "7"}} })},
		{"operations[1].planwarm.p90Ms: not a number", e(func(e *Entry) { e.Planwarm.P90Ms = math.NaN() })},
		{"operations[1].planwarm.maxMs: not a number", e(func(e *Entry) { e.Planwarm.MaxMs = math.Inf(1) })},
		{"operations[1].planwarm.meanMs: not a number", e(func(e *Entry) { e.Planwarm.MeanMs = -1 })},
		{"operations[1].planwarm.score: not a number", e(func(e *Entry) { e.Planwarm.Score = -1 })},
		{"operations[1].planwarm.measuredAt: year", e(func(e *Entry) { e.Planwarm.MeasuredAt = &bad })},
		{"operations[1].planwarm.pushedAt: year", e(func(e *Entry) { e.Planwarm.PushedAt = &bad })},
		{"operations[1].planwarm.pushedBy: 1025", e(func(e *Entry) { e.Planwarm.PushedBy = long })},
		{"operations[1].planwarm.profile: 1025", e(func(e *Entry) { e.Planwarm.Profile = long })},
		{"operations[1].planwarm.conditions: 65 variables", e(func(e *Entry) { e.Planwarm.Conditions = tooMany })},
		{"operations[1].planwarm.conditions: a variable's name", e(func(e *Entry) { e.Planwarm.Conditions = map[string]bool{"": true} })},
		{"operations[1].planwarm.variants: 17, at most 16", e(func(e *Entry) { e.Planwarm.Variants = make([]Variant, MaxVariants+1) })},
		{"operations[1].planwarm.variants[0].query: not valid", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{Query: "\xff"}} })},
		{"operations[1].planwarm.variants[0].operationName: 1025", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{OperationName: &long}} })},
		{"operations[1].planwarm.variants[0].client.name: 1025", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{Client: &Client{Name: long}}} })},
		{"operations[1].planwarm.variants[0].planKey: not an", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{PlanKey: "x"}} })},
		{"operations[1].planwarm.variants[0].conditions: 65", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{Conditions: tooMany}} })},
		{"operations[1].planwarm.variants[0].profile: 1025", e(func(e *Entry) { e.Planwarm.Variants = []Variant{{Profile: long}} })},
		{"operations: 10001 entries, at most 10000", func(m *Manifest) { m.Operations = make([]Entry, MaxEntries+1) }},
	}
	for _, tt := range tests {
		t.Run(tt.says, func(t *testing.T) {
			m := fullManifest()
			tt.change(&m)
			err := m.Validate()
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if n := strings.Count(err.Error(), "\n"); n != 1 {
				t.Errorf("one fault was told as %d: %v", n, err)
			}
			if _, err := Encode(m); !errors.Is(err, ErrInvalid) {
				t.Errorf("Encode wrote it: %v", err)
			}
		})
	}
}

func TestValidateTellsAllAtOnce(t *testing.T) {
	m := fullManifest()
	m.Rank = "x"
	m.Operations[0].Request.Query = ""
	m.Operations[1].Planwarm.PlanKey = "x"
	m.Operations[1].Planwarm.Type = ""
	err := m.Validate()
	for _, want := range []string{"rank:", "operations[0].request: no query", "operations[1].planwarm.planKey", "operations[1].planwarm.type"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if err := fullManifest().Validate(); err != nil {
		t.Errorf("a good manifest: %v", err)
	}
	if err := (Manifest{Graph: testGraph}).Validate(); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want ErrFormat", err)
	}
}

func TestValidatePinsNamesEveryFault(t *testing.T) {
	long := strings.Repeat("n", MaxNameBytes+1)
	tests := []struct {
		says   string
		change func(*Pins)
	}{
		{"graph.name: empty", func(p *Pins) { p.Graph.Name = "" }},
		{"nonce: 1025", func(p *Pins) { p.Nonce = long }},
		{"pins[1].id: not the id of the request", func(p *Pins) { p.Pins[1].ID = p.Pins[1].ID[1:] }},
		{"pins[1].request: no query", func(p *Pins) { p.Pins[1].Request = Request{}; p.Pins[1].ID = PinID(Request{}) }},
		{"pins[1].client.name: 1025", func(p *Pins) { p.Pins[1].Client = &Client{Name: long} }},
		{"pins[1].planKey: not an", func(p *Pins) { p.Pins[1].PlanKey = "x" }},
		{"pins[1].pushedAt: not set", func(p *Pins) { p.Pins[1].PushedAt = time.Time{} }},
		{"pins[1].pushedBy: 1025", func(p *Pins) { p.Pins[1].PushedBy = long }},
		{"pins[1].from: year", func(p *Pins) { p.Pins[1].From = ptr(time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC)) }},
		{"pins[0].until: not after from", func(p *Pins) { p.Pins[0].Until = p.Pins[0].From }},
		{"pins[2]: same id as pins[0]", func(p *Pins) { p.Pins = append(p.Pins, p.Pins[0]) }},
		{"pins: 10001, at most", func(p *Pins) { p.Pins = make([]Pin, MaxEntries+1) }},
		{"deny[1]: names no operation", func(p *Pins) { p.Deny[1] = Deny{DeniedAt: testNow} }},
		{"deny[1].id: not 64", func(p *Pins) { p.Deny[1].ID = "12" }},
		{"deny[1].planKey: not an", func(p *Pins) { p.Deny[1].PlanKey = "x" }},
		{"deny[1].hash: 1025", func(p *Pins) { p.Deny[1].Hash = long }},
		{"deny[0].operationName: 1025", func(p *Pins) { p.Deny[0].OperationName = long }},
		{"deny[0].reason: 1025", func(p *Pins) { p.Deny[0].Reason = long }},
		{"deny[0].deniedBy: 1025", func(p *Pins) { p.Deny[0].DeniedBy = long }},
		{"deny[0].deniedAt: year", func(p *Pins) { p.Deny[0].DeniedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"deny: 10001, at most", func(p *Pins) { p.Deny = make([]Deny, MaxEntries+1) }},
	}
	for _, tt := range tests {
		t.Run(tt.says, func(t *testing.T) {
			p := fullPins()
			tt.change(&p)
			if err := p.Validate(); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if _, err := EncodePins(p); !errors.Is(err, ErrInvalid) {
				t.Errorf("EncodePins wrote it: %v", err)
			}
		})
	}
}

func TestSettingsValidateNamesEveryFault(t *testing.T) {
	if err := DefaultSettings().Validate(); err != nil {
		t.Fatalf("defaults: %v", err)
	}
	s := Settings{
		MaxOperations: MaxEntries + 1, ManualShare: math.NaN(), Rank: "x", MinPlanningTime: 2, MaxPlanningTime: 1,
		MaxSharePerClient: 0,
	}
	err := s.Validate()
	for _, want := range []string{"max_operations", "manual_share", "rank", "horizon", "max_planning_time", "max_share_per_client"} {
		if err == nil || !strings.Contains(err.Error(), want+":") {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	s = DefaultSettings()
	s.Rank, s.Budget, s.MinPlanningTime, s.MaxPlanningTime = RankBudget, 0, -1, -1
	err = s.Validate()
	for _, want := range []string{"budget", "min_planning_time", "max_planning_time"} {
		if err == nil || !strings.Contains(err.Error(), want+":") {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestPinRoom(t *testing.T) {
	for _, tt := range []struct {
		limit int
		share float64
		want  int
	}{{100, 1, 100}, {100, 0.29, 29}, {10, 0.7, 7}, {100, 0, 0}, {3, 0.5, 1}, {10_000, 0.9999, 9999}} {
		s := Settings{MaxOperations: tt.limit, ManualShare: tt.share}
		if got := s.PinRoom(); got != tt.want {
			t.Errorf("%v of %d: %d, want %d", tt.share, tt.limit, got, tt.want)
		}
	}
}
