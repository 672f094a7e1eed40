package router

import (
	"crypto/sha256"
	"encoding/binary"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/planwarm/planwarm/planner/engine"
)

// maxForm bounds the normal form of one operation that is remembered. Longer
// ones are rare, and made again.
const maxForm = 32 << 10

// forms remembers the normal forms of texts, so that asking again about a plan
// that is there costs no more than a look-up.
type forms struct{ lru *lru.Cache[formKey, form] }

// formKey is a hash of all that a normal form is made from.
type formKey [sha256.Size]byte

// form is an operation in normal form, without what only its execution needs.
type form struct {
	op     operation
	engine *engine.Prepared
}

// newForms remembers as many forms as there are plans.
func newForms(size int) (*forms, error) {
	l, err := lru.New[formKey, form](size)
	return &forms{l}, err
}

func (f *forms) get(key formKey) (*prepared, bool) {
	x, ok := f.lru.Get(key)
	return &prepared{op: x.op, engine: x.engine}, ok
}

func (f *forms) add(key formKey, p *prepared) {
	if len(p.op.document) <= maxForm {
		f.lru.Add(key, form{op: p.op, engine: p.engine.ToPlan()})
	}
}

// formKeyOf hashes the parts with their lengths, so that no two different
// requests are written the same.
func formKeyOf(query, name string, variables []byte) formKey {
	h := sha256.New()
	var length [8]byte
	for _, part := range [][]byte{[]byte(query), []byte(name), variables} {
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return formKey(h.Sum(nil))
}
