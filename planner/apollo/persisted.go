package apollo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/planner/planhttp"
)

// persistedFormat and persistedVersion name the manifest that the router reads
// from a local file.
const (
	persistedFormat  = "apollo-persisted-query-manifest"
	persistedVersion = 1
)

type persistedManifest struct {
	Format     string               `json:"format"`
	Version    int                  `json:"version"`
	Operations []persistedOperation `json:"operations"`
}

type persistedOperation struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
	Body string `json:"body"`
}

// WritePersistedQueries writes a local persisted-query manifest from which the
// router can warm itself at its start: each text of the entries once, in their
// order, under the SHA-256 of the text and for every client.
//
// The router plans them without an operation name, so requests that send one
// still miss, and documents with several operations are left out, since none of
// them can be planned so. A text that no client sends, since its literals were
// lifted, is left out too: nobody would find its plan. It returns how many texts were written, and how many
// were left out. Nothing is written when an entry is invalid.
func WritePersistedQueries(w io.Writer, entries []manifest.Entry) (written, left int, err error) {
	out := persistedManifest{Format: persistedFormat, Version: persistedVersion, Operations: []persistedOperation{}}
	seen := map[string]bool{}
	for i, e := range entries {
		for _, x := range e.Expand() {
			if seen[x.Request.Query] {
				continue
			}
			seen[x.Request.Query] = true
			op, alone, err := persisted(x.Request)
			if err != nil {
				return 0, 0, fmt.Errorf("write persisted queries: entry %d: %w", i, err)
			}
			if !alone || x.Planwarm.Lifted {
				left++
				continue
			}
			out.Operations = append(out.Operations, op)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		return 0, 0, fmt.Errorf("write persisted queries: %w", err)
	}
	return len(out.Operations), left, nil
}

// persisted is one operation, and whether it is alone in its document.
func persisted(r manifest.Request) (persistedOperation, bool, error) {
	op, err := planhttp.Read(r.Query, "")
	if err != nil {
		_, err = planhttp.Read(r.Query, r.OperationName)
		return persistedOperation{}, false, err
	}
	sum := sha256.Sum256([]byte(r.Query))
	return persistedOperation{ID: hex.EncodeToString(sum[:]), Name: op.Name, Type: op.Kind.String(), Body: r.Query}, true, nil
}
