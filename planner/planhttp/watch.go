package planhttp

import (
	"context"
	"time"

	"github.com/planwarm/planwarm/planner"
)

// Watch looks for signs of a reload until ctx ends. look returns the sign that
// it found, or "". Signs of one reload come from several sides within a moment
// of each other: the first opens a pause in which the others are taken for the
// same.
func Watch(ctx context.Context, interval, debounce time.Duration, look func(context.Context) string, seen func(planner.Reload)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var pending *planner.Reload
	var quiet <-chan time.Time
	for {
		if sign := look(ctx); sign != "" && pending == nil {
			pending = &planner.Reload{At: time.Now(), Sign: sign}
			quiet = time.After(debounce)
		}
		for next := false; !next; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				next = true
			case <-quiet:
				seen(*pending)
				pending, quiet = nil, nil
			}
		}
	}
}
