package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// stopTimeout bounds each step of a teardown.
const stopTimeout = 10 * time.Second

// teardown is a stack of named steps. Each is registered where the thing it
// ends is made, so a later step that fails cannot leak it.
type teardown struct {
	log   *zap.Logger
	steps []step
}

type step struct {
	name string
	stop func(context.Context) error
}

// onStop registers a step; steps run in reverse.
func (t *teardown) onStop(name string, stop func(context.Context) error) {
	t.steps = append(t.steps, step{name, stop})
}

// stop runs all steps, each bounded in time, and collects their errors.
func (t *teardown) stop() error {
	var errs []error
	for i := len(t.steps) - 1; i >= 0; i-- {
		s := t.steps[i]
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		start := time.Now()
		if err := s.stop(ctx); err != nil && !errors.Is(err, context.Canceled) {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
		cancel()
		t.log.Debug("stopped", zap.String("part", s.name), zap.Duration("took", time.Since(start)))
	}
	t.steps = nil
	return errors.Join(errs...)
}
