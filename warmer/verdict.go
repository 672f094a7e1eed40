package warmer

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// maxReason bounds what is kept of the reason why an operation is refused.
const maxReason = 500

// verdict is what a schema says of an operation.
type verdict struct {
	refused       string // why it is refused; "" when it is not
	introspection bool
	kind          manifest.OperationType
}

// judge asks the current schema about an operation, once for each text. While
// there is no schema everything is accepted.
func (g *graph) judge(sc *schema.Schema, text, name string) verdict {
	if sc == nil {
		return verdict{kind: manifest.Query}
	}
	id := digestOf(sc.ID(), name, text)
	if v, ok := g.verdicts.Get(id); ok {
		return v
	}
	var v verdict
	if op, err := sc.Parse(text, name); err != nil {
		v.refused = clip(err.Error(), maxReason)
	} else {
		v.introspection, v.kind = op.Introspection, operationType(string(op.Type))
	}
	g.verdicts.Add(id, v)
	return v
}

// clip shortens s to n bytes, at the end of a rune.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// digest stands for texts where remembering them would keep them in memory.
type digest [sha256.Size]byte

func digestOf(parts ...string) digest {
	h := sha256.New()
	for _, p := range parts {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(p)))
		_, _ = h.Write(n[:]) // a hash never fails
		_, _ = h.Write([]byte(p))
	}
	var d digest
	h.Sum(d[:0])
	return d
}
