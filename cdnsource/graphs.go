package cdnsource

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/planwarm/planwarm/manifest"
)

// maxGraphs bounds the graphs of one namespace.
const maxGraphs = 10_000

// Exists reports whether a graph has pins or a pointer.
func (s *Store) Exists(ctx context.Context, graph manifest.Graph) (bool, error) {
	k, err := s.keys(graph)
	if err != nil {
		return false, fmt.Errorf("look for graph: %w", err)
	}
	for _, key := range []string{k.pins(), k.pointer()} {
		_, err := s.get(ctx, key, 0)
		if err == nil || errors.Is(err, ErrTooLarge) { // there, whatever it holds
			return true, nil
		}
		if !errors.Is(err, ErrNotFound) {
			return false, fmt.Errorf("look for graph: %w", err)
		}
	}
	return false, nil
}

// Graphs returns the graphs of a namespace that have pins or a pointer, in
// the order of their names.
func (s *Store) Graphs(ctx context.Context, namespace string) ([]manifest.Graph, error) {
	if err := CheckName(namespace); err != nil {
		return nil, fmt.Errorf("list graphs: namespace: %w", err)
	}
	prefix := s.namespacePrefix(namespace)
	var out []manifest.Graph
	after := ""
	for {
		var page []Listed
		err := s.repeat(ctx, func() (err error) {
			page, err = s.bucket.List(ctx, prefix, after, 1)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("list graphs: %w", err)
		}
		if len(page) == 0 {
			return out, nil
		}
		name, _, nested := strings.Cut(strings.TrimPrefix(page[0].Key, prefix), "/")
		graph := manifest.Graph{Namespace: namespace, Name: name}
		if !nested || CheckGraph(graph) != nil {
			after = page[0].Key
			continue
		}
		ok, err := s.Exists(ctx, graph)
		if err != nil {
			return nil, fmt.Errorf("list graphs: %w", err)
		}
		if ok {
			out = append(out, graph)
		}
		if len(out) == maxGraphs {
			return nil, fmt.Errorf("list graphs: more than %d: %w", maxGraphs, ErrTooLarge)
		}
		// Past everything of this graph in one step: '0' follows '/'.
		after = prefix + name + "0"
		if after <= page[0].Key {
			return nil, fmt.Errorf("list graphs: %w: keys are not in order", ErrUnsafe)
		}
	}
}
