package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/planwarm/planwarm/planner/cosmo"
	"github.com/spf13/cobra"
)

func newTokenKeyCmd(c *cli) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "new-key <file>",
		Short: "Write a new key that signs plan-only requests to a Cosmo router",
		Long: `Write a new EC P-256 private key (PKCS #8, PEM) to a file with mode 0600, for
cosmo.signing_key_file. Routers that register with planwarm are given its public
key at their start, and refuse plan-only requests that it did not sign: after a
change of the key, until each router was restarted.`,
		Example: "  planwarm token new-key signing.key",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return c.newKey(args[0], force) },
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace the file when it is there")
	return cmd
}

func (c *cli) newKey(path string, force bool) error {
	if _, err := os.Lstat(path); !force && !errors.Is(err, fs.ErrNotExist) {
		return withCode(exitRefused, fmt.Errorf("write key: %s is there already; --force replaces it", path))
	}
	key, err := cosmo.NewKey()
	if err != nil {
		return err
	}
	s, err := cosmo.NewSigner(key, cosmo.SignerOptions{})
	if err != nil {
		return err
	}
	if err := writeFile(path, key); err != nil { // with the mode of a temporary file, 0600
		return fmt.Errorf("write key: %w", err)
	}
	if c.json {
		return c.printJSON(map[string]string{"file": path, "publicKey": s.PublicKey()})
	}
	return c.line("wrote %s, readable by its owner only; its public key is\n%s", printable(path), s.PublicKey())
}
