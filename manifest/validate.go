package manifest

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"time"
)

// Validate reports every fault of m in one error that wraps ErrInvalid, or
// ErrFormat when the format is not ours. Faults of entries name operations[i].
func (m Manifest) Validate() error {
	if m.Format != Format {
		return ErrFormat
	}
	var f faults
	f.head(m)
	if len(m.Operations) > MaxEntries {
		f.add("operations", "%d entries, at most %d", len(m.Operations), MaxEntries)
		return f.err()
	}
	owner := make(map[string]int, len(m.Operations))
	for i := range m.Operations {
		e := &m.Operations[i]
		f.entry("operations["+strconv.Itoa(i)+"]", e)
		for key := range e.keys() {
			if j, taken := owner[key]; taken && j != i {
				f.add("operations["+strconv.Itoa(i)+"]", "plan key %s is also in operations[%d]", clip(key), j)
				continue
			}
			owner[key] = i
		}
	}
	return f.err()
}

// Validate reports every fault of e, in one error that wraps ErrInvalid.
func (e Entry) Validate() error {
	var f faults
	f.entry("operation", &e)
	return f.err()
}

func (f *faults) head(m Manifest) {
	f.graph(m.Graph)
	f.text("writer", m.Writer)
	f.when("generatedAt", m.GeneratedAt)
	if hex, ok := strings.CutPrefix(m.Schema, "sha256:"); m.Schema != "" && (!ok || !validSHA256(hex)) {
		f.add("schema", "not sha256: and 64 lower-case hex digits")
	}
	if m.Window != "" {
		if d, err := time.ParseDuration(m.Window); err != nil || d <= 0 {
			f.add("window", "not a positive duration")
		}
	}
	if m.Rank != "" && !m.Rank.known() {
		f.add("rank", "not one of p90, saved, budget")
	}
	if s := m.Signature; s != nil {
		f.text("signature.key", s.Key)
		if s.Key == "" {
			f.add("signature.key", "empty")
		}
		if raw, err := base64.StdEncoding.Strict().DecodeString(s.Ed25519); err != nil || len(raw) != 64 {
			f.add("signature.ed25519", "not 64 bytes in base64")
		}
	}
}

// entry checks one entry and its variants.
func (f *faults) entry(at string, e *Entry) {
	f.request(at+".request", e.Request)
	f.client(at+".client", e.Client)
	d := &e.Planwarm
	at += ".planwarm"
	if d.Source != SourceManual && d.Source != SourceTelemetry {
		f.add(at+".source", "not one of manual, telemetry")
	}
	if d.Type != Query && d.Type != Mutation && d.Type != Subscription {
		f.add(at+".type", "not one of query, mutation, subscription")
	}
	f.planKey(at+".planKey", d.PlanKey)
	for _, n := range [...]struct {
		name  string
		value float64
	}{{"p90Ms", d.P90Ms}, {"maxMs", d.MaxMs}, {"meanMs", d.MeanMs}, {"score", d.Score}} {
		if !(n.value >= 0) || math.IsInf(n.value, 1) {
			f.add(at+"."+n.name, "not a number of 0 or more")
		}
	}
	f.whenSet(at+".measuredAt", d.MeasuredAt)
	f.whenSet(at+".pushedAt", d.PushedAt)
	f.text(at+".pushedBy", d.PushedBy)
	f.text(at+".profile", d.Profile)
	f.conditions(at+".conditions", d.Conditions)
	if len(d.Variants) > MaxVariants {
		f.add(at+".variants", "%d, at most %d", len(d.Variants), MaxVariants)
		return
	}
	for i := range d.Variants {
		f.variant(at+".variants["+strconv.Itoa(i)+"]", &d.Variants[i])
	}
}

func (f *faults) variant(at string, v *Variant) {
	if v.OperationName != nil {
		f.text(at+".operationName", *v.OperationName)
	}
	f.query(at+".query", v.Query)
	f.client(at+".client", v.Client)
	f.planKey(at+".planKey", v.PlanKey)
	f.conditions(at+".conditions", v.Conditions)
	f.text(at+".profile", v.Profile)
}

func (r Rank) known() bool {
	return r == RankP90 || r == RankSaved || r == RankBudget
}

// clip keeps a message short when a key is not what it should be.
func clip(s string) string {
	if len(s) > 24 {
		return s[:24] + "..."
	}
	return s
}
