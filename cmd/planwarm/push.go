package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

// pushFlags are what a push is told.
type pushFlags struct {
	bucketFlags
	files             []string
	operation         string
	persisted, client string
	profiles          []string
	from, until, by   string
	schema            string
	noSchema          bool
	evict, create     bool
	dryRun            bool
}

func newPushCmd(c *cli) *cobra.Command {
	var f pushFlags
	cmd := &cobra.Command{
		Use:   "push <graph> -f <file|folder|->...",
		Short: "Keep operations warm, whatever telemetry says",
		Long: `Put operations on top of a graph's stack of pushed operations. They are in every
later manifest until they are removed, expire, fall out at the cap, or the
schema refuses them.

Files are GraphQL documents, with one operation or several, manifests of
planwarm, or files of persisted operations: those of Apollo, Relay,
graphql-codegen, gql.tada, Hive and Cosmo. Folders are searched for *.graphql,
*.gql and <sha256>.json. Texts are kept exactly as they are. All documents are
valid under the graph's schema, or nothing is pushed and the exit code is 5. Of
persisted operations those that are refused are listed, the others are pushed,
and the exit code is 1. At the cap the newest goes in and the oldest falls out; several at once
do so only with --evict. One that is there already moves to the top.`,
		Example: `  planwarm push storefront -f checkout.graphql
  planwarm push storefront -n default -f operations/ --evict
  planwarm push storefront -f web.graphql -o Checkout --client web@3.1
  planwarm push storefront -f checkout.graphql --profile beta
  planwarm push storefront -f sale.graphql --from 2026-11-27 --until 72h
  cat checkout.graphql | planwarm push storefront -f - --dry-run`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.push(cmd.Context(), f, args[0]) },
	}
	f.addWriting(cmd)
	fl := cmd.Flags()
	fl.StringArrayVarP(&f.files, "file", "f", nil, "file, folder, or - for standard input; may be given again")
	fl.StringVarP(&f.operation, "operation", "o", "", "push only the operation of this name")
	fl.StringVarP(&f.persisted, "persisted-id", "p", "", "SHA-256 under which clients send this one operation")
	fl.StringVar(&f.client, "client", "", "client that sends them, as name or name@version")
	fl.StringArrayVar(&f.profiles, "profile", nil, "header profile to warm them under, besides none; may be given again")
	fl.StringVar(&f.from, "from", "", "in the manifest only from this time on (RFC 3339, a date, or a duration from now)")
	fl.StringVar(&f.until, "until", "", "and only until this time")
	fl.StringVar(&f.by, "by", "", "who pushes (default: user@host)")
	fl.StringVar(&f.schema, "schema", "", "check against the schema in this file instead of the configured one")
	fl.BoolVar(&f.noSchema, "no-schema", false, "check the syntax only")
	fl.BoolVar(&f.evict, "evict", false, "let a push of several take others out at the cap")
	fl.BoolVar(&f.create, "create", false, "push to a graph that is neither configured nor in the bucket")
	fl.BoolVar(&f.dryRun, "dry-run", false, "tell what would happen, and change nothing")
	cmd.MarkFlagsMutuallyExclusive("schema", "no-schema")
	return cmd
}

// pushReport tells what a push did.
type pushReport struct {
	Graph    manifest.Graph `json:"graph"`
	DryRun   bool           `json:"dryRun,omitempty"`
	Schema   string         `json:"schema"` // that it was checked against; "": syntax only
	Limit    int            `json:"limit"`
	Pins     int            `json:"pins"`
	Sequence uint64         `json:"sequence"` // of the pins
	manifest.PushResult
	Notes   []string       `json:"notes,omitempty"`
	Refused []refusedEntry `json:"refusedEntries,omitempty"` // of persisted-operation files; exit code 1
}

func (c *cli) push(ctx context.Context, f pushFlags, graph string) error {
	if len(f.files) == 0 {
		return withCode(exitUsage, errors.New("nothing to push: -f names a file, a folder, or - for standard input"))
	}
	template, err := f.template(time.Now())
	if err != nil {
		return withCode(exitUsage, err)
	}
	in := operationReader{stdin: c.stdin}
	in.read(f.files)
	if err := in.choose(f.operation, f.persisted); err != nil {
		return err
	}
	mode := writing
	if f.dryRun {
		mode = reading
	}
	return c.withGraph(ctx, f.bucketFlags, graph, mode, func(ctx context.Context, d *desk) error {
		if !f.create {
			if err := d.known(ctx); err != nil {
				return fmt.Errorf("%w; --create pushes all the same", err)
			}
		}
		r := &rules{}
		if !f.noSchema {
			var err error
			if r, err = loadRules(ctx, d.configured, f.schema); err != nil {
				return fmt.Errorf("%w (nothing was pushed; --no-schema checks the syntax only)", err)
			}
		}
		pins, err := in.pins(r, template)
		if err != nil {
			return c.refuse(err)
		}
		return c.pushPins(ctx, f, d, r, pins, in.refused)
	})
}

// template is what all operations of a push have in common.
func (f pushFlags) template(now time.Time) (manifest.Pin, error) {
	p := manifest.Pin{PushedAt: now.UTC().Truncate(time.Second), PushedBy: or(f.by, person()), Client: parseClient(f.client)}
	if f.persisted != "" {
		if !fullID.MatchString(strings.ToLower(f.persisted)) {
			return p, errors.New("--persisted-id is not a SHA-256: 64 hexadecimal digits")
		}
		p.Request.Extensions = &manifest.Extensions{PersistedQuery: &manifest.PersistedQuery{SHA256Hash: strings.ToLower(f.persisted), Version: 1}}
	}
	var err error
	if p.Profiles, err = profileNames(f.profiles); err != nil {
		return p, err
	}
	if p.From, err = parseTime("--from", f.from, now); err != nil {
		return p, err
	}
	if p.Until, err = parseTime("--until", f.until, now); err != nil {
		return p, err
	}
	if p.From != nil && p.Until != nil && !p.From.Before(*p.Until) {
		return p, errors.New("--until is not after --from")
	}
	return p, nil
}

// parseClient reads name or name@version; a name may itself start with @.
func parseClient(s string) *manifest.Client {
	if s == "" {
		return nil
	}
	if i := strings.LastIndexByte(s, '@'); i > 0 {
		return &manifest.Client{Name: s[:i], Version: s[i+1:]}
	}
	return &manifest.Client{Name: s}
}

func parseTime(flag, s string, now time.Time) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	var t time.Time
	if d, err := time.ParseDuration(s); err == nil {
		t = now.Add(d)
	} else if t, err = time.ParseInLocation(time.DateOnly, s, time.Local); err != nil {
		if t, err = time.Parse(time.RFC3339, s); err != nil {
			return nil, fmt.Errorf("%s %q is no time: 2026-11-27, 2026-11-27T08:00:00Z, or 72h from now", flag, s)
		}
	}
	t = t.UTC().Truncate(time.Second)
	return &t, nil
}

// person is who runs this command.
func person() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// pushPins changes the stack. When it returns nil the pins are in the bucket.
func (c *cli) pushPins(ctx context.Context, f pushFlags, d *desk, r *rules, pins []manifest.Pin, refused []refusedEntry) error {
	rep := pushReport{Refused: refused, Graph: d.graph, DryRun: f.dryRun, Schema: r.id(), Limit: d.settings().PinRoom()}
	if rep.Limit < 1 {
		return withCode(exitRefused, errors.New("manual_share and max_operations leave no room for pushed operations"))
	}
	change := func(p *manifest.Pins) (err error) {
		rep.PushResult, err = p.Push(pins, rep.Limit, f.evict)
		return err
	}
	after, err := d.changePins(ctx, f.dryRun, change)
	if errors.Is(err, manifest.ErrWouldEvict) {
		return c.refuseEviction(rep, err)
	}
	if err != nil {
		return err
	}
	rep.Pins, rep.Sequence = len(after.Pins), after.Sequence
	if rep.Notes, err = pushNotes(d, r, after, rep.PushResult); err != nil {
		return err
	}
	if c.json {
		err = c.printJSON(rep)
	} else {
		err = c.printPush(f, r, d, rep)
	}
	if err != nil {
		return err
	}
	return c.tellRefused(refused)
}

// changePins applies change to the pins in the bucket, or for a dry run to a copy of them.
func (d *desk) changePins(ctx context.Context, dryRun bool, change func(*manifest.Pins) error) (manifest.Pins, error) {
	if !dryRun {
		return d.store.UpdatePins(ctx, d.graph, change)
	}
	pins, err := d.pins(ctx)
	if err != nil {
		return pins, err
	}
	return pins, change(&pins)
}
