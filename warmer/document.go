package warmer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/schema"
)

// Pullable is a manifest as a router that pulls gets it.
type Pullable struct {
	Body     []byte
	Digest   string // hex SHA-256 of Body
	Sequence uint64
	Modified time.Time
	Origin   Origin
}

// Document returns what a router of the graph should warm, encoded as a
// manifest: the same choice as for plan-only requests, in which every set of
// conditions is an entry of its own, because a router that pulls sends no
// variables. The error wraps ErrNotFound when there is nothing to warm.
func (w *Warmer) Document(ctx context.Context, id manifest.Graph) (Pullable, error) {
	g, err := w.graph(id)
	if err != nil {
		return Pullable{}, err
	}
	g.awaitFetch(ctx)
	g.lists.mu.Lock()
	defer g.lists.mu.Unlock()
	l := g.listed(g.pullCapacity())
	if len(l.Entries) == 0 {
		return Pullable{}, fmt.Errorf("graph %s: %w", id, ErrNotFound)
	}
	if l.document == nil {
		if l.document, err = l.encode(g.opts.Schema.Current()); err != nil {
			return Pullable{}, fmt.Errorf("graph %s: %w", id, err)
		}
	}
	return *l.document, nil
}

// encode makes the document of a list: as many entries as are worth pulling,
// and fit into a manifest.
func (l *listed) encode(sc *schema.Schema) (*Pullable, error) {
	m := l.head
	m.Operations, _ = Unconditional(l.Entries, sc)
	limit := manifest.MaxEntries
	if l.Limit > 0 {
		limit = min(limit, l.Limit) // each set of conditions is a plan of its own
	}
	m.Operations = m.Operations[:min(len(m.Operations), limit)]
	if len(m.Operations) == 0 {
		return nil, ErrNotFound
	}
	for {
		body, err := manifest.Encode(m)
		if errors.Is(err, manifest.ErrTooLarge) && len(m.Operations) > 1 {
			m.Operations = m.Operations[:len(m.Operations)*3/4] // the tail is worth least
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("encode manifest: %w", err)
		}
		sum := sha256.Sum256(body)
		return &Pullable{Body: body, Digest: hex.EncodeToString(sum[:]), Sequence: m.Sequence, Modified: m.GeneratedAt, Origin: l.Origin}, nil
	}
}

// pullCapacity is that of the smallest router: the same document goes to all.
func (g *graph) pullCapacity() Capacity {
	var least Capacity
	for i, r := range g.fleet.list() {
		if i == 0 || r.Capacity.Limit() != 0 && (least.Limit() == 0 || r.Capacity.Limit() < least.Limit()) {
			least = r.Capacity
		}
	}
	return least
}

// Unconditional turns each set of conditions into an entry with @skip and
// @include decided in the text, for somebody who sends no variables. Where that
// fails, as it does without a schema, the set is left out: the router would plan
// something nobody asks for. So is an entry that breaks a rule of the format,
// such as one of telemetry with a client of many bytes: it must not cost the
// others. What is to be planned under a header profile is left out. It returns
// how many plans that were left out.
func Unconditional(entries []manifest.Entry, sc *schema.Schema) (out []manifest.Entry, left int) {
	out = make([]manifest.Entry, 0, len(entries))
	seen := map[string]bool{}
	for _, e := range entries {
		for i, x := range e.Expand() {
			if x.Planwarm.Profile != "" {
				left++ // a router that pulls plans without headers
				continue
			}
			if i > 0 && (x.Planwarm.PlanKey == e.Planwarm.PlanKey || x.Planwarm.PlanKey == "") {
				continue
			}
			if len(x.Planwarm.Conditions) > 0 {
				text, err := resolveText(x, sc)
				if err != nil {
					left++
					continue
				}
				x.Request = manifest.Request{OperationName: x.Request.OperationName, Query: text}
			}
			if !identifies(x.Request) {
				x.Request.Extensions = nil
			}
			x.Planwarm.Conditions, x.Planwarm.Variants = nil, nil
			switch k := x.Key(); {
			case seen[k]:
			case x.Validate() != nil:
				left++
			default:
				seen[k] = true
				out = append(out, x)
			}
		}
	}
	return out, left
}

func resolveText(e manifest.Entry, sc *schema.Schema) (string, error) {
	if sc == nil {
		return "", errors.New("schema is not loaded")
	}
	return sc.Resolve(e.Request.Query, e.Request.OperationName, e.Planwarm.Conditions)
}

// Fetched returns the newest manifest that was fetched, as it is in the bucket,
// the last good one while the bucket is away. The error wraps ErrNotFound
// before the first.
func (w *Warmer) Fetched(id manifest.Graph) (manifest.Manifest, error) {
	g, err := w.graph(id)
	if err != nil {
		return manifest.Manifest{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.fetched.lastGood.Format == "" {
		return manifest.Manifest{}, fmt.Errorf("graph %s: %w", id, ErrNotFound)
	}
	return g.fetched.lastGood, nil
}

// identifies says whether a request has the persisted id of its own text. By
// another one a router would look for what it keeps under it, or refuse both.
func identifies(r manifest.Request) bool {
	if r.Extensions == nil || r.Extensions.PersistedQuery == nil {
		return false
	}
	sum := sha256.Sum256([]byte(r.Query))
	return r.Extensions.PersistedQuery.SHA256Hash == hex.EncodeToString(sum[:])
}
