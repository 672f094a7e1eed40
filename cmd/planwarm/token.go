package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/spf13/cobra"
)

const (
	tokenBytes    = 32
	weakSecret    = 32 // bytes below which HS256 is weaker than its hash
	openToOthers  = 0o077
	privateFile   = 0o600
	ownIssuer     = "planwarm"
	fingerprintOf = 8 // bytes of the hash that tell one secret from another
)

func newTokenCmd(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens and look at them",
		Long: `Make the secrets that planwarm and its routers use, and look at them. A secret is
written to a file that only its owner can read, and never printed.`,
		Example: `  planwarm token new admin.token
  planwarm token cosmo storefront -o graph.token
  planwarm token show graph.token`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenNewCmd(c), newTokenShowCmd(c), newTokenCosmoCmd(c), newTokenKeyCmd(c))
	return cmd
}

func newTokenNewCmd(c *cli) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "new <file>",
		Short: "Write a new random token to a file",
		Long: `Write a new random token of 256 bits to a file with mode 0600, for
admin.token_file, telemetry.otlp.token_file or cdn.token_file, or as the
secret of graph tokens, cosmo.jwt_secret_file.`,
		Example: "  planwarm token new admin.token\n  planwarm token new admin.token --force",
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var raw [tokenBytes]byte
			_, _ = rand.Read(raw[:]) // it never fails
			return c.saveSecret(args[0], base64.RawURLEncoding.EncodeToString(raw[:]), force)
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the file when it is there")
	return cmd
}

// saveSecret writes a secret where only its owner can read it.
func (c *cli) saveSecret(path, secret string, force bool) error {
	if force {
		if err := writeFile(path, []byte(secret+"\n")); err != nil { // with the mode of a temporary file, 0600
			return fmt.Errorf("write token: %w", err)
		}
	} else if err := createSecret(path, secret); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(tokenInfo{File: path, Kind: kindOf(secret), Fingerprint: fingerprint(secret)})
	}
	return c.line("wrote %s, readable by its owner only; fingerprint %s", printable(path), fingerprint(secret))
}

func createSecret(path, secret string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, privateFile)
	if errors.Is(err, fs.ErrExist) {
		return withCode(exitRefused, fmt.Errorf("write token: %s is there already; --force replaces it", path))
	}
	if err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	_, err = f.WriteString(secret + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write token: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// fingerprint tells secrets apart without giving anything away: they are random.
func fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:fingerprintOf])
}

// graphClaims are what a graph token says.
type graphClaims struct {
	OrganizationID   string `json:"organization_id"`
	FederatedGraphID string `json:"federated_graph_id"`
	jwt.RegisteredClaims
}

// tokenInfo is what may be shown of a token.
type tokenInfo struct {
	File             string     `json:"file"`
	Kind             string     `json:"kind"`
	Fingerprint      string     `json:"fingerprint"`
	Algorithm        string     `json:"algorithm,omitempty"`
	OrganizationID   string     `json:"organizationId,omitempty"`
	FederatedGraphID string     `json:"federatedGraphId,omitempty"`
	IssuedAt         *time.Time `json:"issuedAt,omitempty"`
	ExpiresAt        *time.Time `json:"expiresAt,omitempty"`
	Signature        string     `json:"signature,omitempty"`
}

const (
	kindBearer = "bearer token"
	kindGraph  = "graph token"
)

func kindOf(secret string) string {
	if _, _, err := jwt.NewParser().ParseUnverified(secret, &graphClaims{}); err == nil {
		return kindGraph
	}
	return kindBearer
}

func newTokenShowCmd(c *cli) *cobra.Command {
	var secretFile string
	cmd := &cobra.Command{
		Use:   "show <file>",
		Short: "Show what a token file is, but not the token",
		Example: `  planwarm token show admin.token
  planwarm token show graph.token --secret-file jwt.secret`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.showToken(args[0], secretFile) },
	}
	cmd.Flags().StringVar(&secretFile, "secret-file", "", "check the signature of a graph token with the secret in this file")
	return cmd
}

func (c *cli) showToken(path, secretFile string) error {
	token, err := readSecret(path)
	if err != nil {
		return notThere(err)
	}
	info := tokenInfo{File: path, Kind: kindBearer, Fingerprint: fingerprint(token)}
	var claims graphClaims
	if t, _, err := jwt.NewParser().ParseUnverified(token, &claims); err == nil {
		info.Kind, info.Algorithm = kindGraph, t.Method.Alg()
		info.OrganizationID, info.FederatedGraphID = claims.OrganizationID, claims.FederatedGraphID
		info.IssuedAt, info.ExpiresAt = moment(claims.IssuedAt), moment(claims.ExpiresAt)
		info.Signature = "not checked"
	}
	if secretFile != "" {
		if err := checkGraphToken(token, secretFile); err != nil {
			return err
		}
		info.Signature = "good"
	}
	if stat, err := os.Stat(path); err == nil && stat.Mode().Perm()&openToOthers != 0 {
		c.warn("%s can be read by others (mode %04o): chmod 600", printable(path), stat.Mode().Perm())
	}
	if c.json {
		return c.printJSON(info)
	}
	t := newTable(c.stdout)
	t.row("kind", info.Kind)
	t.row("fingerprint", info.Fingerprint)
	if info.Kind == kindGraph {
		t.row("algorithm", info.Algorithm)
		t.row("organization", or(info.OrganizationID, "none: a router's CDN refuses it"))
		t.row("graph", or(info.FederatedGraphID, "none"))
		t.row("issued", momentText(info.IssuedAt, "-"))
		t.row("expires", momentText(info.ExpiresAt, "never"))
		t.row("signature", info.Signature)
	}
	return t.flush()
}

func checkGraphToken(token, secretFile string) error {
	secret, err := readSecret(secretFile)
	if err != nil {
		return err
	}
	_, err = jwt.ParseWithClaims(token, &graphClaims{}, func(*jwt.Token) (any, error) { return []byte(secret), nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}))
	if err != nil {
		return withCode(exitRefused, fmt.Errorf("check graph token: %w", err))
	}
	return nil
}

func moment(d *jwt.NumericDate) *time.Time {
	if d == nil {
		return nil
	}
	t := d.UTC()
	return &t
}

func momentText(t *time.Time, none string) string {
	if t == nil {
		return none
	}
	return when(*t)
}
