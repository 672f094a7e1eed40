package main

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

type denyFlags struct {
	bucketFlags
	reason, by string
	remove     bool
}

func newDenyCmd(c *cli) *cobra.Command {
	var f denyFlags
	cmd := &cobra.Command{
		Use:   "deny <graph> <operation|plan key|hash|id>",
		Short: "Keep an operation out of the manifest for good",
		Long: `Keep an operation out of every later manifest: by name, by plan key or operation
hash, or by the id of a pushed one. A pushed operation that is denied stays on
the stack and is back when the denial is removed. A name outlasts a change of
the schema, which gives plans other keys.`,
		Example: `  planwarm deny storefront LoadTest --reason "synthetic traffic"
  planwarm deny storefront 11017789909616755873
  planwarm deny storefront LoadTest --remove`,
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: c.completeGraph,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withGraph(cmd.Context(), f.bucketFlags, args[0], writing, func(ctx context.Context, d *desk) error {
				if err := d.known(ctx); err != nil {
					return err
				}
				if f.remove {
					return c.undeny(ctx, f, d, args[1])
				}
				return c.deny(ctx, f, d, args[1])
			})
		},
	}
	f.addWriting(cmd)
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for whoever looks at the list")
	cmd.Flags().StringVar(&f.by, "by", "", "who denies it (default: user@host)")
	cmd.Flags().BoolVar(&f.remove, "remove", false, "take it off the deny list")
	return cmd
}

// denyReport tells what changed on the deny list.
type denyReport struct {
	Graph    manifest.Graph  `json:"graph"`
	Sequence uint64          `json:"sequence"`
	Denied   []manifest.Deny `json:"denied,omitempty"`
	Removed  []manifest.Deny `json:"removed,omitempty"`
	Known    bool            `json:"known,omitempty"` // it was denied already
}

func (c *cli) deny(ctx context.Context, f denyFlags, d *desk, what string) error {
	var denial manifest.Deny
	var added bool
	after, err := d.store.UpdatePins(ctx, d.graph, func(p *manifest.Pins) (err error) {
		if denial, err = denialOf(*p, what); err != nil {
			return err
		}
		denial.Reason, denial.DeniedBy, denial.DeniedAt = f.reason, or(f.by, person()), time.Now().UTC().Truncate(time.Second)
		added, err = p.DenyAdd(denial)
		return err
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(denyReport{Graph: d.graph, Sequence: after.Sequence, Denied: []manifest.Deny{denial}, Known: !added})
	}
	if !added {
		return c.say(f.bucketFlags, "%s was denied already; reason and person are the new ones", printable(denyText(denial)))
	}
	return c.say(f.bucketFlags, "denied %s: no later manifest has it", printable(denyText(denial)))
}

func (c *cli) undeny(ctx context.Context, f denyFlags, d *desk, what string) error {
	var removed []manifest.Deny
	after, err := d.store.UpdatePins(ctx, d.graph, func(p *manifest.Pins) (err error) {
		removed, err = p.DenyRemove(what)
		return err
	})
	if err != nil {
		return err
	}
	if c.json {
		return c.printJSON(denyReport{Graph: d.graph, Sequence: after.Sequence, Removed: removed})
	}
	for _, x := range removed {
		if err := c.say(f.bucketFlags, "no longer denied: %s", printable(denyText(x))); err != nil {
			return err
		}
	}
	return nil
}

var (
	graphQLName = regexp.MustCompile(`^[_A-Za-z][_0-9A-Za-z]*$`)
	fullID      = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// denialOf finds out what kind of name a person gave. A number may be a plan
// key or an operation hash, which are often equal, so it counts as both.
func denialOf(p manifest.Pins, what string) (manifest.Deny, error) {
	if pin, ok := pinOfID(p, what); ok {
		return manifest.Deny{ID: pin.ID}, nil
	}
	switch {
	case isNumber(what):
		return manifest.Deny{PlanKey: what, Hash: what}, nil
	case fullID.MatchString(what):
		return manifest.Deny{ID: what}, nil
	case graphQLName.MatchString(what):
		return manifest.Deny{OperationName: what}, nil
	}
	return manifest.Deny{}, withCode(exitRefused, errors.New("add denial: neither an operation's name, a plan key, a hash nor an id"))
}

// pinOfID finds the one pin that goes by an id, or by the start of one, and
// not by that name.
func pinOfID(p manifest.Pins, s string) (manifest.Pin, bool) {
	found := p.Find(s)
	if len(found) != 1 || found[0].PlanKey == s || found[0].Request.OperationName == s {
		return manifest.Pin{}, false
	}
	return found[0], true
}

// isNumber says whether s is written as plan keys and hashes are.
func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && strconv.FormatUint(n, 10) == s
}
