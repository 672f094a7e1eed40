package telemetry

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// Text tells the text of an operation. One that the table does not hold yet is
// taken in as if it had been seen once, but a text alone is no demand.
func (t *Table) Text(at time.Time, op Operation, text string) {
	if text == "" || t.own(op.Client) || !t.identify(&op, text) {
		return
	}
	t.mu.Lock()
	t.clock = at
	o := t.operations[op.Hash]
	if o == nil && len(op.Hash) <= maxHash {
		if o = t.admit(op.Hash, t.frequencies.add(hashOf(op.Hash), 1)); o != nil {
			o.lastSeen = at.UnixNano()
		}
	}
	if o != nil {
		o.describe(&op, 0)
	}
	wanted := o != nil && o.text == ""
	t.mu.Unlock()
	if wanted {
		t.learn(op, text)
	}
}

// identify gives an operation without a hash the key of its canonical text as
// its hash, and reports whether it has one. A text is made canonical only when
// its operation could get in.
func (t *Table) identify(op *Operation, text string) bool {
	if op.Hash != "" || text == "" {
		// Without either, whoever counts it calls it malformed.
		return true
	}
	d := digest(text, op.Name)
	t.mu.Lock()
	hash, known := t.ids.Get(d)
	may := known || !t.full() || t.frequencies.add(d, 1) > t.leastUsed.top().count
	if !known && !may {
		t.stats.Rejected++
	}
	t.mu.Unlock()
	if !known {
		if !may {
			return false
		}
		if c, err := t.canonical(text, op.Name); err == nil {
			hash = cmp.Or(c.Identity, c.Key)
		}
		t.mu.Lock()
		t.ids.Add(d, hash)
		t.mu.Unlock()
	}
	op.Hash = hash
	return hash != ""
}

// canonical runs Options.Canonical within the bounds of a text.
func (t *Table) canonical(text, name string) (c Canonical, err error) {
	if len(text) > maxOperation {
		err = fmt.Errorf("make text canonical: %d bytes, more than %d", len(text), maxOperation)
	} else if c, err = t.options.Canonical(text, name); err == nil {
		if c.Key == "" || len(c.Key) > maxHash || len(c.Identity) > maxHash || len(c.Name) > maxName || c.Text == "" || len(c.Text) > maxOperation {
			err = fmt.Errorf("make text canonical: text of %d bytes and key of %d bytes are out of bounds", len(c.Text), len(c.Key))
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stats.Canonical++
	if err != nil {
		t.stats.TextsRefused++
	}
	return c, err
}

// learn makes text canonical and stores it with op, unless op has a text, left
// the table, or had this very text refused.
func (t *Table) learn(op Operation, text string) {
	d := digest(text, op.Name)
	t.mu.Lock()
	o := t.operations[op.Hash]
	if o == nil || o.text != "" || o.learning || o.refused == d || !t.hasRoom(o, len(text)) {
		t.mu.Unlock()
		return
	}
	o.learning = true
	t.mu.Unlock()

	// Outside the lock: this parses, and everything else waits for the lock.
	c, err := t.canonical(text, op.Name)

	t.mu.Lock()
	defer t.mu.Unlock()
	o.learning = false
	switch {
	case t.operations[op.Hash] != o: // evicted meanwhile
	case err != nil:
		o.refused = d
	default:
		t.store(o, c)
	}
}

// store keeps the text when there is room, which it makes by evicting what is
// used less. The caller holds the lock.
func (t *Table) store(o *operation, c Canonical) {
	for t.textBytes+len(c.Text) > t.options.MaxText {
		if !t.hasRoom(o, len(c.Text)) {
			return
		}
		t.evict(t.leastUsed.top())
	}
	o.text, o.named, o.key, o.lifted = strings.Clone(c.Text), strings.Clone(c.Name), strings.Clone(c.Key), c.Lifted
	if kind := operationType(c.Type); kind != "" {
		o.kind = kind
	}
	t.textBytes += len(o.text)
}

// hasRoom reports whether a text of n bytes fits, or could after evicting what
// is used less than o.
func (t *Table) hasRoom(o *operation, n int) bool {
	if t.textBytes+n <= t.options.MaxText {
		return true
	}
	if least := t.leastUsed.top(); least != o && least.count < o.count {
		return true
	}
	t.stats.TextsDropped++
	return false
}

// RetryTexts forgets which texts were refused: a new schema may take them.
func (t *Table) RetryTexts() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.operations {
		o.refused = 0
	}
	t.ids.Purge()
}
