package embedded

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Credentials open the bucket of one directory.
type Credentials struct {
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
}

// endpointFile tells people where a running server listens.
type endpointFile struct {
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Region   string `json:"region"`
	PID      int    `json:"pid"`
}

const (
	credentialsName = "credentials.json"
	endpointName    = "endpoint.json"
	maxCredentials  = 4 << 10
)

// loadCredentials reads the directory's credentials, or makes them. Of
// several processes that make them at once, the first one's are everybody's.
func loadCredentials(dir string) (Credentials, error) {
	path := filepath.Join(dir, credentialsName)
	c, err := readCredentials(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, err
	}
	c = Credentials{AccessKey: "PW" + randomHex(9), SecretKey: randomHex(24)}
	body, err := json.Marshal(c)
	if err != nil {
		return Credentials{}, fmt.Errorf("make credentials: %w", err)
	}
	temporary, err := writeTemporary(dir, body)
	if err != nil {
		return Credentials{}, fmt.Errorf("make credentials: %w", err)
	}
	defer os.Remove(temporary)
	// A link, unlike a rename, fails when somebody else was faster.
	if err := os.Link(temporary, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return Credentials{}, fmt.Errorf("make credentials: %w", err)
	}
	return readCredentials(path)
}

func readCredentials(path string) (Credentials, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("read credentials: %w", err)
	}
	if info.Size() > maxCredentials {
		return Credentials{}, errors.New("read credentials: file is too large")
	}
	body, err := os.ReadFile(path)
	if err != nil {
		return Credentials{}, fmt.Errorf("read credentials: %w", err)
	}
	var c Credentials
	if json.Unmarshal(body, &c) != nil || c.AccessKey == "" || c.SecretKey == "" {
		return Credentials{}, errors.New("read credentials: " + credentialsName + " is damaged: remove it to have new ones made")
	}
	return c, nil
}

// writeTemporary writes a file that only its owner can read, and syncs it.
func writeTemporary(dir string, body []byte) (string, error) {
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

func writeEndpoint(dir string, e endpointFile) error {
	body, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	temporary, err := writeTemporary(dir, append(body, '\n'))
	if err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	if err := os.Rename(temporary, filepath.Join(dir, endpointName)); err != nil {
		return fmt.Errorf("write endpoint: %w", err)
	}
	return nil
}

// removeEndpoint removes the file unless another process, which has taken over
// the directory, has written its own by now.
func removeEndpoint(dir string) error {
	path := filepath.Join(dir, endpointName)
	var e endpointFile
	if body, err := os.ReadFile(path); err == nil && json.Unmarshal(body, &e) == nil && e.PID != os.Getpid() {
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove endpoint: %w", err)
	}
	return nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails: it ends the process when the system has no randomness
	return hex.EncodeToString(b)
}
