package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/planwarm/planwarm/cmd/planwarm/config"
	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/telemetry"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestCheckpointOnABrokenDisk: the checkpoint is there for the bucket, and the
// error tells that its local copy is not.
func TestCheckpointOnABrokenDisk(t *testing.T) {
	c := config.Default()
	c.DataDir = filepath.Join(t.TempDir(), "data")
	table, err := newGraphTable(c, manifest.Graph{Namespace: "default", Name: "storefront"}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.DataDir, nil, 0o600); err != nil { // where a directory should be
		t.Fatal(err)
	}
	body, err := table.Checkpoint()
	if err == nil {
		t.Error("no error")
	}
	if _, err := telemetry.ReadTable(bytes.NewReader(body), table.options(c.Telemetry)); err != nil {
		t.Errorf("the checkpoint cannot be read: %v", err)
	}
}

// TestDamagedLocalCheckpoint: what cannot be read, cut short, spoilt or of a
// version to come, is said and does not keep planwarm from starting.
func TestDamagedLocalCheckpoint(t *testing.T) {
	c := config.Default()
	c.DataDir = t.TempDir()
	graph := manifest.Graph{Namespace: "default", Name: "storefront"}
	table, err := newGraphTable(c, graph, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	good, err := table.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	later := bytes.Clone(good)
	later[len("planwarm-table\x00")]++
	for name, tc := range map[string]struct {
		body   []byte
		refuse bool
	}{
		"whole": {good, false}, "cut short": {good[:len(good)-1], true}, "empty": {nil, true},
		"spoilt": {append(bytes.Clone(good[:len(good)-1]), ^good[len(good)-1]), true}, "of a version to come": {later, true},
	} {
		if err := os.WriteFile(table.path, tc.body, 0o600); err != nil {
			t.Fatal(err)
		}
		core, logs := observer.New(zap.WarnLevel)
		if _, err := newGraphTable(c, graph, zap.New(core)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if told := logs.FilterMessage("checkpoint refused, telemetry starts anew").Len() == 1; told != tc.refuse {
			t.Errorf("%s: refused %t, want %t", name, told, tc.refuse)
		}
	}
}
