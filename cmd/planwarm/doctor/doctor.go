// Package doctor says in plain words what a router's configuration, a running
// router and a running sidecar lack for planwarm to work, with the lines to
// add. Every trap that is known of a router is a check with an id that stays.
//
// The checks are pure: they read what was gathered, and send nothing. They name
// keys and never print what stands behind them: a router's configuration has
// secrets, and any value can be one.
package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	Error   Severity = "error"   // planwarm does nothing for this router, or something is executed
	Warning Severity = "warning" // it works in part, or something is open to others
	Info    Severity = "info"    // good to know
)

// Topic is what a check is about; findings are shown by topic.
type Topic string

// The topics, in the order in which they are shown.
const (
	Telemetry Topic = "Telemetry"
	Pull      Topic = "The router's own warm-up"
	PlanOnly  Topic = "Plan-only requests"
	Hits      Topic = "Hit signals"
	Reloads   Topic = "Reload signs"
	Sidecar   Topic = "The running sidecar"
)

// Topics returns the topics in the order in which they are shown.
func Topics() []Topic { return []Topic{Telemetry, Pull, PlanOnly, Hits, Reloads, Sidecar} }

// Subject is what a check looks at.
type Subject string

// The subjects: the configuration of one kind of router, or something that runs.
const (
	Cosmo         Subject = "cosmo"
	ApolloRouter  Subject = "apollo"
	HiveRouter    Subject = "hive-router"
	HiveGateway   Subject = "hive-gateway"
	ApolloGateway Subject = "apollo-gateway"
	Grafbase      Subject = "grafbase"
	LiveRouter    Subject = "live router"
	LiveSidecar   Subject = "live sidecar"
)

// File says which configuration the lines of a fix belong to.
type File string

// The files.
const (
	RouterFile   File = "the router's configuration"
	PlanwarmFile File = "planwarm.yaml"
	SourceFile   File = "the gateway's source"
	Elsewhere    File = "" // the fix is something to do
)

// Input is what the checks look at. What is nil was not given.
type Input struct {
	Router   *Document      // the router's configuration
	Planwarm *config.Config // planwarm's own
	Graph    config.Graph   // of Planwarm, or the defaults
	Target   config.Router  // of Graph, or the defaults of its kind
	Flags    *int           // feature flags of the execution config that Planwarm names
	Live     *Live          // what a running router answered
	Sidecar  *Running       // what a running sidecar told
}

// Check is one thing that can be wrong.
type Check struct {
	ID       string
	Subject  Subject
	Topic    Topic
	Severity Severity
	Good     string // what is so when it passes
	Means    string // what it means when it fails
	Fix      string // the lines to add, or what to do
	In       File
	// run looks; it is given an Input whose parts for the subject are there.
	run func(*look) verdict
}

// Finding is the outcome of a check.
type Finding struct {
	ID       string   `json:"id"`
	Topic    Topic    `json:"topic"`
	Severity Severity `json:"severity"`
	OK       bool     `json:"ok"`
	// Unknown says that it could not be told, such as when a value is an
	// environment variable. It is no fault: OK is true.
	Unknown bool   `json:"unknown,omitempty"`
	What    string `json:"what"`
	Fix     string `json:"fix,omitempty"`
	In      File   `json:"in,omitempty"`
	Where   string `json:"where,omitempty"` // key, or router
}

// look is one check at work.
type look struct {
	*Input
	*reading
}

// verdict is what a look came to.
type verdict struct {
	bad      bool
	where    string   // key
	note     string   // added to what it means; never a value but a number
	severity Severity // "" leaves the check's
	skip     string   // why it cannot be told
	none     bool     // there is nothing to look at: no finding at all
}

func good() verdict                        { return verdict{} }
func bad(where string) verdict             { return verdict{bad: true, where: where} }
func cannotTell(why string) verdict        { return verdict{skip: why} }
func nothing() verdict                     { return verdict{none: true} }
func (v verdict) because(n string) verdict { v.note = n; return v }
func (v verdict) as(s Severity) verdict    { v.severity = s; return v }

// when is bad at a key when the condition holds.
func when(condition bool, where string) verdict {
	if condition {
		return bad(where)
	}
	return good()
}

// Checks returns every check there is.
func Checks() []Check {
	var all []Check
	for _, group := range [][]Check{
		cosmoTelemetry, cosmoPull, cosmoPlanOnly, cosmoReloads,
		apolloRouter, hiveRouter, hiveGateway, apolloGateway, grafbase,
		liveRouter, liveSidecar,
	} {
		all = append(all, group...)
	}
	return all
}

// Run runs the checks of the subjects.
func Run(in *Input, subjects ...Subject) []Finding {
	out := []Finding{}
	for _, c := range Checks() {
		for _, s := range subjects {
			if c.Subject == s {
				if f, ok := c.look(in); ok {
					out = append(out, f)
				}
			}
		}
	}
	return out
}

// look runs one check. A value that could not be told decides nothing.
func (c Check) look(in *Input) (Finding, bool) {
	l := &look{Input: in, reading: &reading{doc: in.Router}}
	v := c.run(l)
	if v.none {
		return Finding{}, false
	}
	if v.skip == "" && l.unknown != "" {
		v = verdict{skip: l.unknown + " " + l.why, where: l.unknown}
	}
	f := Finding{ID: c.ID, Topic: c.Topic, Severity: c.Severity, OK: !v.bad, What: c.Good, Where: v.where}
	switch {
	case v.skip != "":
		f.OK, f.Unknown, f.What = true, true, "not told: "+v.skip
	case v.bad:
		f.What, f.Fix, f.In = c.Means, in.fill(c.Fix), c.In
		if v.note != "" {
			f.What += " Here: " + v.note + "."
		}
		if v.severity != "" {
			f.Severity = v.severity
		}
	}
	return f, true
}

// fill puts planwarm's own addresses and sizes into the lines of a fix.
func (in *Input) fill(fix string) string {
	rate, size := in.pullAdvice()
	r := &reading{doc: in.Router}
	pull := r.at("cache_warmup")
	return strings.NewReplacer(
		"{cdn}", "http://"+dialable(in.planwarm().CDN.Listen),
		"{otlp}", "http://"+dialable(in.planwarm().Telemetry.OTLP.HTTP),
		"{rate}", fmt.Sprint(rate),
		"{cache}", fmt.Sprint(size),
		"{graph}", in.Graph.Name,
		"{flags}", fmt.Sprint(in.flags()),
		"{routercache}", fmt.Sprint(r.at("engine", "execution_plan_cache_size").number(1024)),
		"{routerrate}", fmt.Sprint(pull.at("items_per_second").number(50)),
		"{routertimeout}", pull.at("timeout").duration(30*time.Second).String(),
	).Replace(fix)
}

func (in *Input) flags() int {
	if in.Flags != nil {
		return *in.Flags
	}
	return 0
}

// planwarm is planwarm's configuration, or the defaults.
func (in *Input) planwarm() config.Config {
	if in.Planwarm != nil {
		return *in.Planwarm
	}
	return config.Default()
}

// Worst returns how bad the worst finding is, "" when nothing was found.
func Worst(fs []Finding) Severity {
	worst := Severity("")
	for _, f := range fs {
		switch {
		case f.OK:
		case f.Severity == Error, f.Severity == Warning && worst != Error, worst == "":
			worst = f.Severity
		}
	}
	return worst
}
