package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/spf13/cobra"
)

type tokenCosmoFlags struct {
	namespace           string
	secretFile          string
	organization, graph string
	output              string
	expires             time.Duration
	force               bool
}

func newTokenCosmoCmd(c *cli) *cobra.Command {
	var f tokenCosmoFlags
	cmd := &cobra.Command{
		Use:   "cosmo [graph]",
		Short: "Make the graph token of a Cosmo router",
		Long: `Make the graph token that a Cosmo router is given (GRAPH_API_TOKEN): a JWT with
the claims organization_id and federated_graph_id, which are the path it pulls
its warm-up from, signed by HS256 with the secret that cosmo.jwt_secret_file
names. For a configured graph all three come from the configuration. With -o -
the token is printed, for a pipe into a secret store.`,
		Example: `  planwarm token cosmo storefront -o graph.token
  planwarm token cosmo --secret-file jwt.secret --organization org --graph graph -o graph.token`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: c.completeGraph,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				if err := c.fillFromConfig(&f, args[0]); err != nil {
					return err
				}
			}
			return c.tokenCosmo(f, time.Now())
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&f.namespace, "namespace", "n", defaultNamespace, "namespace of the configured graph")
	fl.StringVar(&f.secretFile, "secret-file", "", "file with the HS256 secret (default: cosmo.jwt_secret_file of the graph)")
	fl.StringVar(&f.organization, "organization", "", "claim organization_id (default: cosmo.organization_id)")
	fl.StringVar(&f.graph, "graph", "", "claim federated_graph_id (default: cosmo.federated_graph_id)")
	fl.StringVarP(&f.output, "output", "o", "", "write it to this file with mode 0600; - prints it")
	fl.DurationVar(&f.expires, "expires", 0, "how long it is valid; 0: for good, as Cosmo's own")
	fl.BoolVar(&f.force, "force", false, "replace the file when it is there")
	return cmd
}

// fillFromConfig takes over what the configuration says of the graph, where no flag did.
func (c *cli) fillFromConfig(f *tokenCosmoFlags, name string) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	id := manifest.Graph{Namespace: f.namespace, Name: name}
	g := configuredGraph(cfg, id)
	if g == nil {
		return withCode(exitNotFound, fmt.Errorf("graph %s is not configured: give --secret-file, --organization and --graph instead", id))
	}
	fill(f, g.Cosmo)
	return nil
}

func fill(f *tokenCosmoFlags, g config.Cosmo) {
	f.secretFile = or(f.secretFile, g.JWTSecretFile)
	f.organization = or(f.organization, g.OrganizationID)
	f.graph = or(f.graph, g.FederatedGraphID)
}

func (c *cli) tokenCosmo(f tokenCosmoFlags, now time.Time) error {
	var faults []error
	for _, need := range []struct{ value, what string }{
		{f.secretFile, "--secret-file (cosmo.jwt_secret_file)"}, {f.organization, "--organization (cosmo.organization_id)"},
		{f.graph, "--graph (cosmo.federated_graph_id)"}, {f.output, "-o, where to write it"},
	} {
		if need.value == "" {
			faults = append(faults, fmt.Errorf("missing: %s", need.what))
		}
	}
	if f.expires < 0 {
		faults = append(faults, fmt.Errorf("--expires %s is negative", f.expires))
	}
	if len(faults) > 0 {
		return withCode(exitUsage, errors.Join(faults...))
	}
	secret, err := readSecret(f.secretFile)
	if err != nil {
		return notThere(err)
	}
	if len(secret) < weakSecret {
		c.warn("the secret has fewer than %d bytes; planwarm token new makes a strong one", weakSecret)
	}
	claims := graphClaims{
		OrganizationID: f.organization, FederatedGraphID: f.graph,
		RegisteredClaims: jwt.RegisteredClaims{Issuer: ownIssuer, IssuedAt: jwt.NewNumericDate(now)},
	}
	if f.expires > 0 {
		claims.ExpiresAt = jwt.NewNumericDate(now.Add(f.expires))
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		return fmt.Errorf("sign token: %w", err)
	}
	if f.output == stdinName {
		return c.line("%s", token)
	}
	return c.saveSecret(f.output, token, f.force)
}
