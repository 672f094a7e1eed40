package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Defaults and bounds of a Keyer's memo.
const (
	DefaultMemo   = 8192     // identities that are remembered
	maxMemoBytes  = 32 << 20 // of their normalised texts
	maxConditions = 256      // of one operation
)

// Identity is what a Cosmo router calls an operation.
type Identity struct {
	// PlanKey is the key of the plan cache: xxhash64 of the normalised text
	// without name, its variables renamed, in decimal.
	PlanKey string
	// Hash is wg.operation.hash: the same before variables are renamed.
	Hash string
	// Normalized is the text that PlanKey hashes. Literals of arguments are
	// lifted out of it, those of directives are not.
	Normalized string
	Type       string // query, mutation or subscription
}

// Keyer computes identities against a client schema. It is safe for
// concurrent use.
type Keyer struct {
	normalizer *normalizer

	mu    sync.Mutex
	memo  *simplelru.LRU[memoKey, memoValue]
	bytes int // of normalised texts in memo
}

// memoKey is a hash of all inputs: texts are not kept for their own sake.
type memoKey [sha256.Size]byte

type memoValue struct {
	identity Identity
	err      error
}

// KeyerOption changes a Keyer.
type KeyerOption func(*keyerOptions)

type keyerOptions struct{ memo int }

// WithMemo sets how many identities are remembered; 0 remembers none.
func WithMemo(entries int) KeyerOption {
	return func(o *keyerOptions) { o.memo = entries }
}

// NewKeyer makes a Keyer for the schema that clients see: API(false) of a
// supergraph, a plain schema, or the schema inside a Cosmo execution config.
func NewKeyer(clientSDL string, options ...KeyerOption) (*Keyer, error) {
	o := keyerOptions{memo: DefaultMemo}
	for _, set := range options {
		set(&o)
	}
	n, err := newNormalizer(clientSDL)
	if err != nil {
		return nil, fmt.Errorf("new keyer: %w", err)
	}
	k := &Keyer{normalizer: n}
	if o.memo > 0 {
		k.memo, err = simplelru.NewLRU(o.memo, func(_ memoKey, v memoValue) { k.bytes -= len(v.identity.Normalized) })
		if err != nil {
			return nil, fmt.Errorf("new keyer: %w", err)
		}
	}
	return k, nil
}

// Key computes the identity of the operation name of a document; name may be
// empty when there is only one. conditions has the values of variables in
// @skip and @include, which select the plan: without a value the directive
// stays in the text and the key matches no plan of live traffic.
func (k *Keyer) Key(text, name string, conditions map[string]bool) (Identity, error) {
	if len(text) > MaxText {
		return Identity{}, fmt.Errorf("compute plan key: %w: %d bytes, at most %d", ErrTooLarge, len(text), MaxText)
	}
	if len(conditions) > maxConditions {
		return Identity{}, fmt.Errorf("compute plan key: %w: %d conditions, at most %d", ErrTooLarge, len(conditions), maxConditions)
	}
	key := memoKeyOf(text, name, conditions)
	if v, ok := k.recall(key); ok {
		return v.identity, v.err
	}
	v := memoValue{}
	if v.identity, v.err = k.compute(text, name, conditions); v.err != nil {
		v.err = fmt.Errorf("compute plan key: %w", v.err)
	}
	k.remember(key, v)
	return v.identity, v.err
}

func (k *Keyer) compute(text, name string, conditions map[string]bool) (Identity, error) {
	variables, err := json.Marshal(conditions)
	if err != nil {
		return Identity{}, fmt.Errorf("encode conditions: %w", err)
	}
	n, err := k.normalizer.normalize(text, name, variables, false)
	if err != nil {
		return Identity{}, err
	}
	return n.identity(), nil
}

func (o *normalized) identity() Identity {
	return Identity{
		PlanKey:    decimalHash(o.unnamed),
		Hash:       decimalHash(o.beforeMap),
		Normalized: o.unnamed,
		Type:       kindName(o.kind),
	}
}

func decimalHash(text string) string { return strconv.FormatUint(xxhash.Sum64String(text), 10) }

func (k *Keyer) recall(key memoKey) (memoValue, bool) {
	if k.memo == nil {
		return memoValue{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.memo.Get(key)
}

func (k *Keyer) remember(key memoKey, v memoValue) {
	if k.memo == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.memo.Contains(key) {
		return // another goroutine computed the same: adding would count its bytes twice
	}
	k.bytes += len(v.identity.Normalized)
	k.memo.Add(key, v)
	for k.bytes > maxMemoBytes {
		k.memo.RemoveOldest()
	}
}

// memoKeyOf hashes the inputs with their lengths, so that no two different
// inputs are written the same.
func memoKeyOf(text, name string, conditions map[string]bool) memoKey {
	h := sha256.New()
	var length [8]byte
	write := func(s string) {
		binary.LittleEndian.PutUint64(length[:], uint64(len(s)))
		h.Write(length[:])
		h.Write([]byte(s))
	}
	write(text)
	write(name)
	for _, c := range slices.Sorted(maps.Keys(conditions)) {
		write(c)
		write(strconv.FormatBool(conditions[c]))
	}
	return memoKey(h.Sum(nil))
}
