package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// Whoever asks for JSON finds one document on standard output, failed or not.
func TestFailuresAsJSON(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	for _, tc := range []struct {
		code int
		says string
		args []string
	}{
		{exitNotFound, "unknown graph default/nope", []string{"list", "nope"}},
		{exitNotFound, "no such file", []string{"inspect", "./nothing.json"}},
		{exitNotFound, "no such file", []string{"plan", "--schema", "./nothing.graphql", "-f", "./me.graphql"}},
		{exitFailed, "is planwarm run running?", []string{"status"}},
		{exitUsage, "is no version", []string{"rollback", "shop", "x"}},
		{exitUsage, "accepts 1 arg(s)", []string{"push"}},
	} {
		got := s.refused(tc.code, []string{tc.says}, append(tc.args, "--json")...)
		var f failure
		if err := json.Unmarshal([]byte(got.out), &f); err != nil || f.ExitCode != tc.code || !strings.Contains(f.Error, tc.says) {
			t.Errorf("%v: %v in %s", tc.args, err, got.out)
		}
	}
	s.write("unknown.graphql", "{ nothing }")
	faulty := s.refused(exitRefused, nil, "plan", "--schema", "./schema.graphql", "-f", "./unknown.graphql", "--json")
	var f failure
	if err := json.Unmarshal([]byte(faulty.out), &f); err != nil || len(f.Faults) != 1 || f.Faults[0].Line != 1 || f.Faults[0].Column != 3 || f.Faults[0].Rule != "FieldsOnCorrectType" {
		t.Errorf("%v in %s", err, faulty.out)
	}
	// What was refused with its faults is told once.
	s.write("bad.graphql", "{ nothing }")
	got := s.refused(exitRefused, nil, "push", "shop", "-f", "./bad.graphql", "--json")
	var r refusal
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || !r.Refused || len(r.Faults) != 1 {
		t.Errorf("%v in %s", err, got.out)
	}
}

// A wrong command line is answered with the right one.
func TestUsageNamesTheCommand(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	s.refused(exitUsage, []string{"Usage: planwarm push <graph> -f <file|folder|->... [flags]", "Try planwarm push --help."}, "push")
	s.refused(exitUsage, []string{`unknown command "bogus" for "planwarm"`}, "help", "bogus")
	s.refused(exitUsage, []string{`unknown command "bogus" for "planwarm graph"`}, "help", "graph", "bogus")
	s.refused(exitUsage, []string{`unknown command "bogus" for "planwarm completion"`, "Try planwarm completion --help."}, "completion", "bogus")
	for _, args := range [][]string{{"help"}, {"help", "graph", "list"}, {"help", "push", "storefront"}, {"completion"}} {
		if got := s.must(args...); !strings.Contains(got.out, "Usage:") {
			t.Errorf("%v printed %q", args, got.out)
		}
	}
	s.refused(exitUsage, []string{"unknown flag: --nope", "Try planwarm token cosmo --help."}, "token", "cosmo", "--nope")
}

// Nothing runs without a graph, and whoever starts without a configuration is
// told that this is what is missing.
func TestRunWithoutGraphs(t *testing.T) {
	t.Chdir(t.TempDir())
	if code, _, said := planwarm("run"); code != exitUsage || !strings.Contains(said, "there is no planwarm.yaml here") {
		t.Errorf("without a configuration: exit %d, %s", code, said)
	}
	if err := os.WriteFile("planwarm.yaml", []byte("graphs: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, said := planwarm("run"); code != exitUsage || !strings.Contains(said, "configuration has no graphs") {
		t.Errorf("without a graph: exit %d, %s", code, said)
	}
}

// A configuration file that cannot be read is a wrong command line, whatever the command.
func TestConfigurationThatIsNotThere(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"run"}, {"list", "shop"}, {"status"}, {"warm", "shop"}, {"doctor"}, {"token", "cosmo", "shop"}} {
		code, _, said := planwarm(append(args, "--config", "none.yaml")...)
		if code != exitUsage || !strings.Contains(said, "none.yaml: no such file") {
			t.Errorf("%v: exit code %d: %s", args, code, said)
		}
	}
	if code, _, said := planwarm("run", "--config", os.TempDir()); code != exitUsage || !strings.Contains(said, "directory") {
		t.Errorf("a folder: exit code %d: %s", code, said)
	}
}

// The effective configuration is YAML or, for whoever asks, JSON.
func TestPrintConfigAsJSON(t *testing.T) {
	t.Parallel()
	s := newShop(t, defaultManifest)
	var c struct {
		Graphs []struct {
			Manifest struct {
				Max int    `json:"max_operations"`
				Min string `json:"min_planning_time"`
			} `json:"manifest"`
		} `json:"graphs"`
	}
	if err := json.Unmarshal([]byte(s.must("run", "--print-config", "--json").out), &c); err != nil || len(c.Graphs) != 1 {
		t.Fatalf("%v, %+v", err, c)
	}
	if m := c.Graphs[0].Manifest; m.Max != 3 || m.Min != "1ms" {
		t.Errorf("%+v", m)
	}
}
