package telemetry

import (
	"cmp"
	"strings"
	"time"
)

// groupKey tells one stream of metric points from another that may hold the
// same executions: a router with three readers reports each one three times.
type groupKey struct {
	instance    string
	transport   string
	temporality Temporality
}

// compare orders keys by what they are, not by when they were first seen, so
// that ties are broken alike everywhere.
func (k groupKey) compare(o groupKey) int {
	return cmp.Or(strings.Compare(k.instance, o.instance), cmp.Compare(k.temporality, o.temporality), strings.Compare(k.transport, o.transport))
}

const (
	maxGroups    = 1 << 14
	maxTransport = 256 // bytes
)

// groups interns group keys. Keys whose series left every window are collected
// when there is no room: instances come and go with each deploy.
type groups struct {
	keys      []groupKey // by id - firstMetricGroup; a zero temporality is free
	ids       map[groupKey]groupID
	free      []groupID
	collected time.Time
}

func (g *groups) key(id groupID) groupKey { return g.keys[id-firstMetricGroup] }

// group returns the id of a key, or false when there are too many. The caller
// holds the table's lock.
func (t *Table) group(at time.Time, key groupKey) (groupID, bool) {
	if id, ok := t.groups.ids[key]; ok {
		return id, true
	}
	if len(key.instance) > maxInstance || len(key.transport) > maxTransport {
		return 0, false
	}
	if len(t.groups.keys) >= maxGroups && len(t.groups.free) == 0 {
		t.collectGroups(at)
	}
	return t.groups.add(key)
}

// add interns a key that is new.
func (g *groups) add(key groupKey) (groupID, bool) {
	key.instance, key.transport = strings.Clone(key.instance), strings.Clone(key.transport)
	var id groupID
	switch {
	case len(g.free) > 0:
		id = g.free[len(g.free)-1]
		g.free = g.free[:len(g.free)-1]
		g.keys[id-firstMetricGroup] = key
	case len(g.keys) < maxGroups:
		id = firstMetricGroup + groupID(len(g.keys))
		g.keys = append(g.keys, key)
	default:
		return 0, false
	}
	if g.ids == nil {
		g.ids = make(map[groupKey]groupID)
	}
	g.ids[key] = id
	return id, true
}

// collectGroups frees the ids that no series has. It looks at everything, so
// it runs once a minute at most.
func (t *Table) collectGroups(at time.Time) {
	if since := at.Sub(t.groups.collected); since >= 0 && since < time.Minute {
		return
	}
	t.groups.collected = at
	used := make([]bool, len(t.groups.keys))
	for _, o := range t.operations {
		o.move(hourOf(at), t.windowHours, &t.groups)
		t.account(o, o.seriesSize())
		for i := range o.series {
			if g := o.series[i].group; g >= firstMetricGroup {
				used[g-firstMetricGroup] = true
			}
		}
	}
	for i, key := range t.groups.keys {
		if !used[i] && key.temporality != 0 {
			delete(t.groups.ids, key)
			t.groups.keys[i] = groupKey{}
			t.groups.free = append(t.groups.free, firstMetricGroup+groupID(i))
		}
	}
}
