package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/planwarm/planwarm/cmd/planwarm/doctor"
)

// doctorWidth is how wide findings are written.
const doctorWidth = 100

// printFindings writes the findings by topic, what is wrong with its lines and
// what is right in one line.
func (c *cli) printFindings(e *examination, f doctorFlags, findings []doctor.Finding) error {
	var b strings.Builder
	if e.input.Router != nil {
		fmt.Fprintf(&b, "%s, %s\n", e.subject.Title(), f.file)
		if e.input.Planwarm == nil {
			b.WriteString("there is no planwarm.yaml: its defaults are taken\n")
		}
	}
	for _, r := range e.routers {
		if subject := doctor.SubjectOf(r.Kind); subject != "" && subject != doctor.Grafbase {
			fmt.Fprintf(&b, "%s, asked as a %s\n", publicURL(r.URL), subject.Title())
		}
	}
	counts := map[doctor.Severity]int{}
	passed, unknown := 0, 0
	sorted := worstFirst(findings)
	for _, topic := range doctor.Topics() {
		first := true
		for _, x := range sorted {
			if x.Topic != topic {
				continue
			}
			if first {
				fmt.Fprintf(&b, "\n%s\n", topic)
				first = false
			}
			switch {
			case x.Unknown:
				unknown++
			case x.OK:
				passed++
			default:
				counts[x.Severity]++
			}
			writeFinding(&b, x)
		}
	}
	b.WriteString("\n")
	for _, n := range e.notes {
		writeWrapped(&b, "Note: "+n+".", "", doctorWidth)
	}
	if e.canaries > 0 {
		fmt.Fprintf(&b, "%s sent, %d executed; nothing else was executed.\n", canaries(e.canaries), e.executed)
	}
	fmt.Fprintf(&b, "%s, %s, %d for information; %d passed, %d not told.\n",
		some(counts[doctor.Error], "error"), some(counts[doctor.Warning], "warning"), counts[doctor.Info], passed, unknown)
	_, err := fmt.Fprint(c.stdout, strings.TrimPrefix(b.String(), "\n"))
	return err
}

func canaries(n int) string {
	if n == 1 {
		return "1 canary"
	}
	return fmt.Sprintf("%d canaries", n)
}

// worstFirst puts what is wrong before what is right, and else changes no order.
func worstFirst(findings []doctor.Finding) []doctor.Finding {
	rank := func(x doctor.Finding) int {
		switch {
		case x.Unknown:
			return 3
		case x.OK:
			return 4
		}
		return slices.Index([]doctor.Severity{doctor.Error, doctor.Warning, doctor.Info}, x.Severity)
	}
	sorted := slices.Clone(findings)
	slices.SortStableFunc(sorted, func(a, b doctor.Finding) int { return rank(a) - rank(b) })
	return sorted
}

func writeFinding(b *strings.Builder, x doctor.Finding) {
	switch {
	case x.Unknown:
		fmt.Fprintf(b, "  ? %-8s %s  [%s]\n", "unknown", x.What, x.ID)
		return
	case x.OK:
		fmt.Fprintf(b, "  ✓ %-8s %s  [%s]\n", "ok", x.What, x.ID)
		return
	}
	const indent = "             "
	fmt.Fprintf(b, "  ✗ %-8s ", x.Severity)
	id := "[" + x.ID + "]"
	if x.Where != "" {
		id = x.Where + "  " + id
	}
	b.WriteString(id + "\n")
	writeWrapped(b, x.What, indent, doctorWidth)
	if x.Fix == "" {
		return
	}
	what := "to do:"
	if x.In != doctor.Elsewhere {
		what = "lines for " + string(x.In) + ":"
	}
	fmt.Fprintf(b, "%s%s\n", indent, what)
	for line := range strings.SplitSeq(x.Fix, "\n") {
		fmt.Fprintf(b, "%s    %s\n", indent, line)
	}
}

// writeWrapped breaks a sentence between words.
func writeWrapped(b *strings.Builder, text, indent string, width int) {
	line := indent
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == indent:
			line += word
		case len(line)+1+len(word) > width:
			b.WriteString(line + "\n")
			line = indent + word
		default:
			line += " " + word
		}
	}
	b.WriteString(line + "\n")
}
