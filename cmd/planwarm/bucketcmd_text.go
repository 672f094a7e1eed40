package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/planwarm/planwarm/manifest"
)

// shortID is how much of an id people are shown; it is enough to find a pin by.
const shortID = 12

// table writes lines of cells in columns. Cells come from traffic too, so
// nothing in them can steer a terminal.
type table struct{ w *tabwriter.Writer }

func newTable(w io.Writer, head ...string) *table {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	if len(head) > 0 {
		t.row(head...)
	}
	return t
}

func (t *table) row(cells ...string) {
	for i, cell := range cells {
		cells[i] = printable(cell)
	}
	// The writer keeps its first error for Flush.
	_, _ = fmt.Fprintln(t.w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
}

func (t *table) flush() error {
	if err := t.w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// printable replaces what is not for printing.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

func short(id string) string { return id[:min(len(id), shortID)] }

func nameOf(name string) string { return or(name, "(no name)") }

func clientOf(c *manifest.Client) string {
	switch {
	case c == nil:
		return "-"
	case c.Version == "":
		return or(c.Name, "-")
	}
	return c.Name + "@" + c.Version
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}

func milliseconds(ms float64) string {
	if ms == 0 {
		return "-"
	}
	return strconv.FormatFloat(ms, 'f', 1, 64)
}

func count(n uint64) string {
	if n == 0 {
		return "-"
	}
	return strconv.FormatUint(n, 10)
}

// some writes "1 operation", "2 operations".
func some(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// say writes a line, unless the person asked for silence.
func (c *cli) say(f bucketFlags, format string, args ...any) error {
	if f.quiet {
		return nil
	}
	return c.line(format, args...)
}

func (c *cli) line(format string, args ...any) error {
	if _, err := fmt.Fprintf(c.stdout, format+"\n", args...); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// warn writes to standard error what does not keep the command from going on.
func (c *cli) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "planwarm: "+format+"\n", args...)
}

// printableLines is printable for a text of several lines, without its last newline.
func printableLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
