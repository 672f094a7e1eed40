package telemetry

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// A checkpoint is a table in bytes: the magic, the sections below in their
// order, and the xxhash64 of all that. Integers are varints. It holds no text
// but canonical ones, and the same table gives the same bytes.
const (
	checkpointMagic   = "planwarm-table\x00" // the version follows, in one byte
	checkpointVersion = 3                    // earlier ones lack what operation.appendTo marks

	// MaxCheckpoint bounds the bytes of a checkpoint.
	MaxCheckpoint = 512 << 20
)

// WriteTo writes a checkpoint of the table. Counts and the identities of what
// was counted are of one moment.
func (t *Table) WriteTo(w io.Writer) (int64, error) {
	t.mu.Lock()
	t.prune()
	b := t.appendCheckpoint(nil)
	t.mu.Unlock()
	if len(b) > MaxCheckpoint {
		return 0, fmt.Errorf("write telemetry checkpoint: %d bytes, more than %d", len(b), MaxCheckpoint)
	}
	n, err := w.Write(b)
	if err != nil {
		return int64(n), fmt.Errorf("write telemetry checkpoint: %w", err)
	}
	return int64(n), nil
}

// prune drops what left the window, measured by the last arrival.
func (t *Table) prune() {
	if len(t.operations) == 0 {
		return
	}
	hour := hourOf(t.clock)
	oldest := t.clock.Add(-t.options.Window).UnixNano()
	for _, o := range slices.Clone([]*operation(t.leastUsed)) {
		o.move(hour, t.windowHours, &t.groups)
		bytes := o.seriesSize()
		t.histBytes += bytes - o.bytes
		o.bytes = bytes
		if o.lastSeen < oldest && !o.executed() {
			t.remove(o)
		}
	}
}

// executed reports whether any series has executions.
func (o *operation) executed() bool {
	return slices.ContainsFunc(o.series, func(s series) bool { return len(s.clients) > 0 })
}

// appendCheckpoint appends the encoded table. The caller holds the lock.
func (t *Table) appendCheckpoint(b []byte) []byte {
	b = append(b, checkpointMagic...)
	b = append(b, checkpointVersion)
	b = appendString(b, t.options.Instance)
	b = binary.AppendVarint(b, max(t.clock.Unix(), 0))
	b = binary.AppendUvarint(b, t.accesses)

	b = binary.AppendUvarint(b, uint64(len(t.layouts.bounds)))
	for _, bounds := range t.layouts.bounds {
		b = binary.AppendUvarint(b, uint64(len(bounds)))
		for _, v := range bounds {
			b = appendFloat(b, v)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(t.groups.keys)))
	for _, k := range t.groups.keys {
		b = appendString(b, k.instance)
		b = appendString(b, k.transport)
		b = append(b, byte(k.temporality))
	}
	for _, s := range []*seen{&t.spans, &t.points, &t.bodies} {
		b = s.appendTo(b)
	}
	b = t.streams.appendTo(b)

	// The most used first: a smaller table takes as many as it can hold.
	all := slices.Clone([]*operation(t.leastUsed))
	slices.SortFunc(all, func(a, b *operation) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.hash, b.hash))
	})
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, o := range all {
		b = o.appendTo(b)
	}
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

func (s *seen) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.len()))
	last := int64(0)
	for _, a := range s.queue[s.head:] {
		b = binary.LittleEndian.AppendUint64(b, a.key)
		b = binary.AppendVarint(b, a.at-last)
		last = a.at
	}
	return b
}

func (s *streams) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(s.byID.Len()))
	for _, id := range s.byID.Keys() { // the one silent longest first
		v, _ := s.byID.Peek(id)
		b = binary.LittleEndian.AppendUint64(b, id)
		b = binary.AppendUvarint(b, v.time)
		b = binary.AppendVarint(b, v.at)
		b = binary.AppendUvarint(b, v.count)
		b = v.histogram.appendTo(b)
	}
	return b
}

func (o *operation) appendTo(b []byte) []byte {
	for _, s := range []string{o.hash, o.planKey, o.key, o.kind, o.text} {
		b = appendString(b, s)
	}
	b = appendString(b, o.source) // from version 2 on, like the next
	b = appendBool(b, o.lifted)
	b = appendString(b, o.named) // from version 3 on
	b = binary.AppendUvarint(b, uint64(len(o.names)))
	for _, n := range o.names {
		b = appendString(b, n.name)
		b = binary.AppendUvarint(b, n.n)
	}
	b = binary.AppendUvarint(b, uint64(len(o.clients)))
	for _, h := range o.clients {
		c := h.Value()
		b = appendString(b, c.Name)
		b = appendString(b, c.Version)
	}
	b = binary.AppendUvarint(b, uint64(o.count))
	for _, v := range []int64{o.lastSeen, o.measured, int64(o.newest), o.cost, o.costAt} {
		b = binary.AppendVarint(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(o.series)))
	for i := range o.series {
		s := &o.series[i]
		b = binary.AppendVarint(b, int64(s.slot))
		b = binary.AppendUvarint(b, uint64(s.group))
		b = s.clients.appendTo(b)
		b = s.histogram.appendTo(b)
	}
	return b
}

func (h *histogram) appendTo(b []byte) []byte {
	b = h.bins.appendTo(b)
	if len(h.bins) == 0 {
		return b
	}
	b = binary.AppendUvarint(b, uint64(h.layout))
	b = binary.AppendVarint(b, h.sum)
	b = appendFloat(b, h.min)
	return appendFloat(b, h.max)
}

func (b bins) appendTo(to []byte) []byte {
	to = binary.AppendUvarint(to, uint64(len(b)))
	last := int64(0)
	for _, c := range b {
		to = binary.AppendVarint(to, int64(c.index)-last)
		to = binary.AppendUvarint(to, c.n())
		last = int64(c.index)
	}
	return to
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func appendFloat(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}
