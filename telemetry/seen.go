package telemetry

import "time"

// seen is a set of identities, bounded in time since arrival and in size. What
// is in it arrived already.
type seen struct {
	keep    int64 // milliseconds
	limit   int
	members map[uint64]struct{}
	queue   []arrival // oldest first, from head on
	head    int
	dropped uint64 // left before their time, for room
}

type arrival struct {
	key uint64
	at  int64 // Unix milliseconds
}

func newSeen(keep time.Duration, limit int) seen {
	return seen{keep: keep.Milliseconds(), limit: limit, members: make(map[uint64]struct{})}
}

// add reports whether key is new, and keeps it.
func (s *seen) add(at time.Time, key uint64) bool {
	now := at.UnixMilli()
	s.expire(now)
	// One look into the map, which is larger than any cache, is what this costs.
	before := len(s.members)
	s.members[key] = struct{}{}
	if len(s.members) == before {
		return false
	}
	if s.len() >= s.limit {
		s.pop()
		s.dropped++
	}
	s.queue = append(s.queue, arrival{key, now})
	return true
}

func (s *seen) len() int { return len(s.queue) - s.head }

// expire drops what arrived too long ago, or so far in the future that only a
// clock that was wrong explains it: it would hold up the queue.
func (s *seen) expire(now int64) {
	for s.head < len(s.queue) {
		at := s.queue[s.head].at
		if at > now-s.keep && at <= now+s.keep {
			return
		}
		s.pop()
	}
}

func (s *seen) pop() {
	delete(s.members, s.queue[s.head].key)
	s.head++
	if s.head*2 > len(s.queue) {
		n := copy(s.queue, s.queue[s.head:])
		s.queue, s.head = s.queue[:n], 0
	}
}
