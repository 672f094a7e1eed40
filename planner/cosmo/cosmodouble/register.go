package cosmodouble

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/andybalholm/brotli"
	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrNoKey says that a registration gave no key.
var ErrNoKey = errors.New("registration without a public key")

// Register is what the router does at every start with router_registration:
// it asks the control plane at base for the key of its graph, as the real one
// does on the wire (Connect, protobuf, brotli), and checks tokens with it from
// then on. A failed registration leaves it as it was.
func (d *Double) Register(ctx context.Context, client *http.Client, base, graphToken string) error {
	var body bytes.Buffer
	w := brotli.NewWriter(&body) // of the empty message
	if err := w.Close(); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/wg.cosmo.node.v1.NodeService/SelfRegister", &body)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/proto", "Content-Encoding": "br", "Accept-Encoding": "br, gzip",
		"Connect-Protocol-Version": "1", "Authorization": "Bearer " + graphToken,
	} {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("register: status %d: %w", res.StatusCode, errors.Join(ErrNoKey, err))
	}
	info, ok := field(answer, 2)
	text, ok2 := field(info, 2)
	if !ok || !ok2 {
		return fmt.Errorf("register: %w", ErrNoKey)
	}
	key, err := jwt.ParseECPublicKeyFromPEM(text)
	if err != nil {
		return fmt.Errorf("register: %w", err) // the real one does not start
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.key = key
	return nil
}

// field returns a field of bytes of a protobuf message.
func field(message []byte, want protowire.Number) ([]byte, bool) {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, false
		}
		message = message[n:]
		if number == want && kind == protowire.BytesType {
			value, n := protowire.ConsumeBytes(message)
			return value, n >= 0
		}
		if n = protowire.ConsumeFieldValue(number, kind, message); n < 0 {
			return nil, false
		}
		message = message[n:]
	}
	return nil, false
}

// takes checks a token as the router does: ES256 with the key that it was
// registered with, or one pinned token.
func (d *Double) takes(token string, o Options) bool {
	d.mu.Lock()
	key := d.key
	d.mu.Unlock()
	if key == nil {
		return token == o.Token
	}
	_, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return key, nil }, jwt.WithValidMethods([]string{jwt.SigningMethodES256.Name}))
	return err == nil
}
