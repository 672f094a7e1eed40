package manifest

import "time"

// Settings say what goes into a manifest and in which order.
type Settings struct {
	MaxOperations     int           // the cap
	ManualShare       float64       // share of the cap that pins may take, 0 to 1
	Rank              Rank          // order of what telemetry saw
	Horizon           time.Duration // ranks saved and budget: how long after a reload a cold plan hurts
	Budget            time.Duration // rank budget: planning time of all entries
	MinPlanningTime   time.Duration // gate on the P90
	MaxPlanningTime   time.Duration // gate on the P90; 0: none
	MinExecutions     uint64        // gate on the demand within the window
	MaxSharePerClient float64       // share of the telemetry slots for one client name; 1: all
}

// DefaultSettings returns the settings that hold where nothing else is said.
func DefaultSettings() Settings {
	return Settings{
		MaxOperations:     100,
		ManualShare:       1,
		Rank:              RankP90,
		Horizon:           5 * time.Minute,
		Budget:            30 * time.Second,
		MinPlanningTime:   time.Millisecond,
		MinExecutions:     2,
		MaxSharePerClient: 1,
	}
}

// Validate reports every fault of s in one error that wraps ErrInvalid.
func (s Settings) Validate() error { return (&faults{all: s.Faults()}).err() }

// Faults are what is wrong with s, each naming the setting as the configuration
// spells it.
func (s Settings) Faults() []error {
	var f faults
	if s.MaxOperations < 1 || s.MaxOperations > MaxEntries {
		f.add("max_operations", "%d, want 1 to %d", s.MaxOperations, MaxEntries)
	}
	if !(s.ManualShare >= 0 && s.ManualShare <= 1) {
		f.add("manual_share", "%v, want 0 to 1", s.ManualShare)
	}
	if !s.Rank.known() {
		f.add("rank", "%q, want p90, saved or budget", clip(string(s.Rank)))
	}
	if s.Rank != RankP90 && s.Horizon <= 0 {
		f.add("horizon", "%v, want more than 0", s.Horizon)
	}
	if s.Rank == RankBudget && s.Budget <= 0 {
		f.add("budget", "%v, want more than 0", s.Budget)
	}
	if s.MinPlanningTime < 0 {
		f.add("min_planning_time", "%v, want 0 or more", s.MinPlanningTime)
	}
	if s.MaxPlanningTime < 0 {
		f.add("max_planning_time", "%v, want 0 or more", s.MaxPlanningTime)
	}
	if s.MaxPlanningTime > 0 && s.MaxPlanningTime < s.MinPlanningTime {
		f.add("max_planning_time", "%v, below min_planning_time %v", s.MaxPlanningTime, s.MinPlanningTime)
	}
	if !(s.MaxSharePerClient > 0 && s.MaxSharePerClient <= 1) {
		f.add("max_share_per_client", "%v, want more than 0, at most 1", s.MaxSharePerClient)
	}
	return f.all
}

// PinRoom is how many pins the manifest takes: the limit for Pins.Push. What
// pins do not use goes to telemetry; the rest is kept for telemetry even when
// it has less, so that a push does not fall in and out with the traffic.
func (s Settings) PinRoom() int {
	// 0.29 × 100 is 28.999... in binary.
	return min(int(float64(s.MaxOperations)*s.ManualShare+1e-9), s.MaxOperations)
}

// clientRoom is how many of room slots one client may take.
func (s Settings) clientRoom(room int) int {
	return max(1, int(float64(room)*s.MaxSharePerClient+1e-9))
}
