package hook

import (
	"context"
	"errors"
	"strings"

	"github.com/planwarm/planwarm/planner"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// The signs of a reload, besides planhttp.SignInstance.
const (
	SignSchema  = "schema generation changed"
	SignAnswers = "plan-only requests are answered again"
)

// Watch asks the plug-in for its generation until ctx ends.
func (p *Planner) Watch(ctx context.Context, seen func(planner.Reload)) error {
	look := p.looker()
	planhttp.Watch(ctx, p.o.WatchInterval, p.o.Debounce, look, seen)
	return nil
}

// looker returns a function that looks once and returns the sign of a reload
// since it was last called, or "".
func (p *Planner) looker() func(context.Context) string {
	var last string
	shut := false
	return func(ctx context.Context) string {
		ctx, cancel := context.WithTimeout(ctx, planhttp.LookTimeout)
		defer cancel()
		sign := ""
		if a, err := p.ask(ctx); err == nil {
			sign = signOf(last, a.state.Generation, shut)
			last, shut = a.state.Generation, false
		} else {
			shut = shut || errors.Is(err, planner.ErrExecuted) || errors.Is(err, planner.ErrRefused)
			p.gate.Learn(err)
		}
		if p.o.Also != nil {
			sign = p.o.Also(ctx, sign)
		}
		if sign != "" {
			// What the canary proved, it proved of the graph before.
			p.gate.Distrust()
		}
		return sign
	}
}

func signOf(before, now string, shut bool) string {
	start, _, _ := strings.Cut(before, ".")
	again, _, _ := strings.Cut(now, ".")
	switch {
	case before != "" && start != again:
		return planhttp.SignInstance
	case before != "" && before != now:
		return SignSchema
	case shut:
		return SignAnswers
	default:
		return ""
	}
}
