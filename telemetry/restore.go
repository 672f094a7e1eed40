package telemetry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
	"unique"

	"github.com/cespare/xxhash/v2"
)

// ErrCheckpoint says that bytes are no checkpoint of a known version, or a
// damaged one.
var ErrCheckpoint = errors.New("malformed checkpoint")

// ReadTable returns the table of a checkpoint.
func ReadTable(r io.Reader, options Options) (*Table, error) {
	t, err := NewTable(options)
	if err != nil {
		return nil, err
	}
	if err := t.Restore(r); err != nil {
		return nil, err
	}
	return t, nil
}

// Restore replaces what the table holds by a checkpoint. The limits are the
// table's own: of what does not fit the most used is taken. A checkpoint that
// cannot be read leaves the table as it was.
func (t *Table) Restore(r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, MaxCheckpoint+1))
	if err != nil {
		return fmt.Errorf("read telemetry checkpoint: %w", err)
	}
	if len(b) > MaxCheckpoint {
		return fmt.Errorf("read telemetry checkpoint: more than %d bytes: %w", MaxCheckpoint, ErrCheckpoint)
	}
	d, err := openCheckpoint(b)
	if err != nil {
		return fmt.Errorf("read telemetry checkpoint: %w", err)
	}
	s, err := newState(&t.options)
	if err != nil {
		return fmt.Errorf("read telemetry checkpoint: %w", err)
	}
	instance := d.string(maxInstance)
	d.table(&s, &t.options)
	if d.failed || len(d.rest) > 0 {
		return fmt.Errorf("read telemetry checkpoint: %w", ErrCheckpoint)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.state = s
	if t.options.Instance == "" {
		t.options.Instance = instance
	}
	return nil
}

// decoder reads a checkpoint. After the first fault everything reads as zero.
type decoder struct {
	version byte
	rest    []byte
	failed  bool
}

func openCheckpoint(b []byte) (*decoder, error) {
	body, head := len(b)-8, len(checkpointMagic)+1
	if body < head || !bytes.HasPrefix(b, []byte(checkpointMagic)) {
		return nil, fmt.Errorf("unknown format: %w", ErrCheckpoint)
	}
	version := b[head-1]
	if version == 0 || version > checkpointVersion {
		return nil, fmt.Errorf("unknown version %d: %w", version, ErrCheckpoint)
	}
	if binary.LittleEndian.Uint64(b[body:]) != xxhash.Sum64(b[:body]) {
		return nil, fmt.Errorf("wrong checksum: %w", ErrCheckpoint)
	}
	return &decoder{version: version, rest: b[head:body]}, nil
}

func (d *decoder) fail() { d.failed, d.rest = true, nil }

func (d *decoder) advance(n int) {
	if n <= 0 { // a varint that is cut off or too large
		d.fail()
		return
	}
	d.rest = d.rest[n:]
}

func (d *decoder) uint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.rest)
	d.advance(n)
	if v > limit {
		d.fail()
	}
	if d.failed {
		return 0
	}
	return v
}

func (d *decoder) int(lowest, highest int64) int64 {
	v, n := binary.Varint(d.rest)
	d.advance(n)
	if v < lowest || v > highest {
		d.fail()
	}
	if d.failed {
		return 0
	}
	return v
}

// length reads how many items of at least size bytes follow.
func (d *decoder) length(limit, size int) int {
	return int(d.uint(uint64(min(limit, len(d.rest)/size))))
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.rest) {
		d.fail()
		return make([]byte, n)
	}
	b := d.rest[:n]
	d.rest = d.rest[n:]
	return b
}

func (d *decoder) string(limit int) string { return string(d.bytes(d.length(limit, 1))) }
func (d *decoder) fixed() uint64           { return binary.LittleEndian.Uint64(d.bytes(8)) }

func (d *decoder) float() float64 {
	v := math.Float64frombits(d.fixed())
	if math.IsNaN(v) || math.IsInf(v, 0) {
		d.fail()
		return 0
	}
	return v
}

// table reads everything after the instance.
func (d *decoder) table(s *state, o *Options) {
	s.clock = time.Unix(d.int(0, maxHour*3600), 0)
	s.accesses = d.uint(math.MaxUint64) % (100 * uint64(o.MaxOperations))
	for range d.length(maxExplicit, 1) {
		bounds := make([]float64, d.length(maxBounds, 8))
		for i := range bounds {
			bounds[i] = d.float()
		}
		before := len(s.layouts.bounds)
		if _, err := s.layouts.of(bounds); err != nil || len(s.layouts.bounds) == before {
			d.fail()
		}
	}
	for range d.length(maxGroups, 3) {
		d.group(&s.groups)
	}
	for _, set := range []*seen{&s.spans, &s.points, &s.bodies} {
		d.seen(set)
	}
	d.streams(s)
	for range d.length(maxOperations, 12) {
		op := d.operation(s)
		if d.failed {
			return
		}
		s.take(op, o)
	}
}

func (d *decoder) group(g *groups) {
	key := groupKey{d.string(maxInstance), d.string(maxTransport), Temporality(d.bytes(1)[0])}
	id := firstMetricGroup + groupID(len(g.keys))
	if key.temporality == 0 {
		g.keys = append(g.keys, groupKey{})
		g.free = append(g.free, id)
		return
	}
	if _, known := g.ids[key]; known || key.temporality > Cumulative {
		d.fail()
		return
	}
	if g.ids == nil {
		g.ids = make(map[groupKey]groupID)
	}
	g.keys, g.ids[key] = append(g.keys, key), id
}

func (d *decoder) seen(s *seen) {
	at := int64(0)
	for range d.length(math.MaxInt32, 9) {
		key := d.fixed()
		at += d.int(math.MinInt64, math.MaxInt64)
		if _, known := s.members[key]; known || d.failed {
			d.fail()
			return
		}
		if s.len() >= s.limit {
			s.pop()
		}
		s.members[key] = struct{}{}
		s.queue = append(s.queue, arrival{key, at})
	}
}

func (d *decoder) streams(s *state) {
	for range d.length(math.MaxInt32, 12) {
		id := d.fixed()
		v := &stream{time: d.uint(math.MaxUint64), at: d.int(math.MinInt64, math.MaxInt64), count: d.uint(math.MaxUint64)}
		v.histogram = d.histogram(s)
		if d.failed {
			return
		}
		if s.streams.byID.Len() < s.streams.limit && s.streams.bytes < s.streams.maxBytes && !s.streams.byID.Contains(id) {
			s.streams.put(id, v)
		}
	}
}

func (d *decoder) operation(s *state) *operation {
	o := newOperation(d.string(maxHash))
	o.planKey, o.key, o.kind, o.text = d.string(maxHash), d.string(maxHash), operationType(d.string(16)), d.string(maxOperation)
	if o.hash == "" || s.operations[o.hash] != nil || (o.text == "") != (o.key == "") {
		d.fail()
	}
	if d.version >= 2 {
		o.source, o.lifted = d.string(maxHash), d.uint(1) == 1
	}
	if d.version >= 3 {
		o.named = d.string(maxName)
	}
	for range d.length(maxNames, 2) {
		o.names = append(o.names, nameCount{d.string(maxName), d.uint(math.MaxUint64)})
	}
	if d.version < 3 && o.text != "" {
		o.named = mostFrequent(o.names) // as it was taken for then
	}
	for range d.length(maxClients, 2) {
		o.clients = append(o.clients, unique.Make(Client{d.string(maxClient), d.string(maxClient)}))
	}
	o.count = uint32(d.uint(math.MaxUint32))
	o.lastSeen = d.int(math.MinInt64, math.MaxInt64)
	o.measured = d.int(math.MinInt64, math.MaxInt64)
	o.newest = int32(d.int(-1, maxHour))
	o.cost = d.int(0, maxSum)
	o.costAt = d.int(math.MinInt64, math.MaxInt64)
	n := d.length(maxSeries, 4)
	for range n {
		o.series = append(o.series, d.series(s))
	}
	if !slices.IsSortedFunc(o.series, compareSeries) {
		d.fail()
	}
	return o
}

func (d *decoder) series(s *state) series {
	r := series{slot: slot(d.int(0, maxHour<<1|1)), group: groupID(d.uint(uint64(len(s.groups.keys)) + uint64(firstMetricGroup) - 1))}
	if r.group >= firstMetricGroup && s.groups.key(r.group).temporality == 0 {
		d.fail()
	}
	r.clients = d.bins(func(index int16) bool { return index >= 0 && index <= maxClients })
	r.histogram = d.histogram(s)
	return r
}

func (d *decoder) histogram(s *state) (h histogram) {
	var lowest, highest int16
	h.bins = d.bins(func(int16) bool { return true })
	if len(h.bins) == 0 {
		return h
	}
	lowest, highest = h.bins[0].index, h.bins[len(h.bins)-1].index
	h.layout = layoutID(d.uint(math.MaxUint16))
	h.sum = d.int(0, maxSum)
	h.min, h.max = d.float(), d.float()
	// Indices ascend, so the outer ones vouch for the rest. The zero bucket is
	// far below all others.
	if lowest == zeroIndex && len(h.bins) > 1 {
		lowest = h.bins[1].index
	}
	if !s.layouts.known(h.layout, lowest) || !s.layouts.known(h.layout, highest) || !s.layouts.known(h.layout, h.bins[0].index) || h.min > h.max {
		d.fail()
	}
	return h
}

func (d *decoder) bins(valid func(int16) bool) bins {
	n := d.length(1<<16, 2)
	if n == 0 {
		return nil
	}
	b := make(bins, 0, n)
	index := int64(0)
	for i := range n {
		step := d.int(-1<<16, 1<<16)
		index += step
		count := d.uint(maxBin)
		if index < math.MinInt16 || index > math.MaxInt16 || i > 0 && step <= 0 || count == 0 || !valid(int16(index)) {
			d.fail()
			return nil
		}
		b = append(b, newBin(int16(index), count))
	}
	return b
}

// take adds a decoded operation if the limits allow, without its text or its
// series where these are beyond theirs.
func (s *state) take(op *operation, o *Options) {
	if len(s.operations) >= o.MaxOperations {
		return
	}
	if s.textBytes+len(op.text) > o.MaxText {
		op.text, op.named, op.key, op.lifted = "", "", "", false
	}
	op.bytes = op.seriesSize()
	if s.histBytes+op.bytes > o.MaxHistograms {
		return
	}
	s.textBytes += len(op.text)
	s.histBytes += op.bytes
	s.operations[op.hash] = op
	s.leastUsed.push(op)
}
