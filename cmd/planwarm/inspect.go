package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

type inspectFlags struct {
	bucketFlags
	sequence  uint64
	verifyKey string
	text      bool
}

func newInspectCmd(c *cli) *cobra.Command {
	var f inspectFlags
	cmd := &cobra.Command{
		Use:   "inspect <graph|file|->",
		Short: "Show what is in a manifest",
		Long: `Show a manifest: its head, and its operations in the order in which they are
warmed. What is named is a file when there is one of that name, or - for
standard input, and else a graph whose manifest is in the bucket.`,
		Example: `  planwarm inspect storefront
  planwarm inspect storefront --version 41
  planwarm inspect manifest.json --text
  planwarm inspect manifest.json --verify-key key.pub --json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.sequence == 0 && isFile(args[0]) {
				m, err := c.readManifest(args[0])
				if err != nil {
					return err
				}
				return c.inspect(f, m, f.verifyKey)
			}
			return c.withGraph(cmd.Context(), f.bucketFlags, args[0], reading, func(ctx context.Context, d *desk) error {
				return c.inspectGraph(ctx, f, d)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().Uint64Var(&f.sequence, "version", 0, "this version instead of the one in force")
	cmd.Flags().StringVar(&f.verifyKey, "verify-key", "", "check the signature with the Ed25519 public key in this PEM file")
	cmd.Flags().BoolVar(&f.text, "text", false, "print the text of each operation as well")
	return cmd
}

// isFile says whether a person who wrote name means a file rather than a graph.
func isFile(name string) bool {
	if name == stdinName || strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".json") {
		return true
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// readManifest reads a manifest from a file or from standard input.
func (c *cli) readManifest(path string) (manifest.Manifest, error) {
	in, name := c.stdin, stdinLabel
	if path != stdinName {
		f, err := os.Open(path)
		if err != nil {
			return manifest.Manifest{}, notThere(fmt.Errorf("read manifest: %w", err))
		}
		defer func() { _ = f.Close() }() // it was only read
		in, name = f, path
	}
	m, err := manifest.Decode(in)
	if err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

func (c *cli) inspectGraph(ctx context.Context, f inspectFlags, d *desk) error {
	key := f.verifyKey
	if key == "" && d.configured != nil {
		key = d.configured.Manifest.VerifyKeyFile
	}
	if f.sequence > 0 {
		if err := d.known(ctx); err != nil {
			return err
		}
		m, err := d.version(ctx, f.sequence)
		if err != nil {
			return err
		}
		return c.inspect(f, m, key)
	}
	m, _, ok, err := d.fetch(ctx)
	switch {
	case err != nil:
		return err
	case !ok:
		return withCode(exitNotFound, fmt.Errorf("%s: nothing was published yet", d.graph))
	}
	return c.inspect(f, m, key)
}

// inspect shows m. A signature that does not hold is an error, and told before anything else.
func (c *cli) inspect(f inspectFlags, m manifest.Manifest, keyFile string) error {
	signature, err := signatureText(m, keyFile)
	if err != nil {
		return err
	}
	if c.json {
		if m.Operations == nil {
			m.Operations = []manifest.Entry{} // an empty list, not null, for whoever reads it
		}
		return c.printJSON(m)
	}
	body, err := manifest.Encode(m)
	if err != nil {
		return err
	}
	t := newTable(c.stdout)
	t.row("graph", m.Graph.String())
	t.row("version", strconv.FormatUint(m.Sequence, 10))
	t.row("generated", when(m.GeneratedAt))
	t.row("schema", or(m.Schema, "-"))
	t.row("rank", or(string(m.Rank), "-")+windowText(m.Window))
	t.row("signature", signature)
	t.row("size", fmt.Sprintf("%s, %s, %d bytes", some(len(m.Operations), "operation"), some(countPlans(m), "plan"), len(body)))
	if err := t.flush(); err != nil {
		return err
	}
	if len(m.Operations) == 0 {
		return nil
	}
	if err := c.line(""); err != nil {
		return err
	}
	if err := c.printEntries(m.Operations); err != nil || !f.text {
		return err
	}
	for i, e := range m.Operations {
		if err := c.line("\n# %d %s\n%s", i+1, printable(nameOf(e.Request.OperationName)), printableLines(e.Request.Query)); err != nil {
			return err
		}
	}
	return nil
}

func windowText(w string) string {
	if w == "" {
		return ""
	}
	return " over " + w
}

// signatureText checks the signature when there is a key to check it with.
func signatureText(m manifest.Manifest, keyFile string) (string, error) {
	verify, err := verifier(keyFile)
	if err != nil {
		return "", err
	}
	if verify != nil {
		if err := verify(m); err != nil {
			return "", fmt.Errorf("check signature: %w", err)
		}
	}
	switch {
	case m.Signature == nil:
		return "none", nil
	case verify == nil:
		return "by key " + m.Signature.Key + ", not checked", nil
	}
	return "by key " + m.Signature.Key + ", good", nil
}

func countPlans(m manifest.Manifest) int {
	keys := map[string]bool{}
	for _, e := range m.Operations {
		for _, x := range e.Expand() {
			keys[x.Key()] = true
		}
	}
	return len(keys)
}

func (c *cli) printEntries(entries []manifest.Entry) error {
	t := newTable(c.stdout, "#", "OPERATION", "TYPE", "SOURCE", "P90 MS", "EXECUTIONS", "SAMPLES", "VARIANTS", "CLIENT", "PLAN KEY")
	for i, e := range entries {
		d := e.Planwarm
		t.row(strconv.Itoa(i+1), nameOf(e.Request.OperationName), string(d.Type), string(d.Source), milliseconds(d.P90Ms),
			count(d.Executions), count(d.Samples), count(uint64(len(d.Variants))), clientOf(e.Client), or(d.PlanKey, "-"))
	}
	return t.flush()
}

var errEmptyInput = errors.New("it is empty")

// readFile reads a file, or standard input, that is no larger than a manifest may be.
func (c *cli) readFile(path string) ([]byte, error) {
	var in io.Reader = c.stdin
	if path != stdinName {
		f, err := os.Open(path)
		if err != nil {
			return nil, notThere(err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	data, err := readInput(in, manifest.MaxBytes)
	if err == nil && len(data) == 0 {
		err = withCode(exitRefused, errEmptyInput)
	}
	return data, err
}
