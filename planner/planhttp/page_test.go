package planhttp

import (
	"bytes"
	"strings"
	"testing"
)

func TestReadPage(t *testing.T) {
	text := "# HELP a x\n# TYPE a counter\na{x=\"1\",y=\"2\"} 3\nb 4\nab 5\n"
	got, err := ReadPage(strings.NewReader(text), "a")
	if err != nil || len(got) != 1 || got[0].Value != 3 || got[0].Labels["y"] != "2" || got[0].Key() != "x=1\x00y=2" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadPageBounds(t *testing.T) {
	for name, text := range map[string]string{
		"long line":  "a" + strings.Repeat("x", maxLineBytes),
		"many lines": strings.Repeat("a{b=\"c\"} 1\n", maxKeptLines+1),
		"no number":  "a x\n",
		"no end":     "a{b=\"c\n",
	} {
		if _, err := ReadPage(strings.NewReader(text), "a"); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got, err := ReadPage(strings.NewReader("<html>\n"), "a"); err != nil || len(got) != 0 {
		t.Errorf("a page of something else: %+v, %v", got, err)
	}
}

func FuzzReadPage(f *testing.F) {
	f.Add([]byte("a 1e9\nb{cache_type=\"plan\",operation=\"added\"} 3\n"))
	f.Add([]byte("b{cache_type=\"plan\"} NaN 17\n# x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := ReadPage(bytes.NewReader(text), "a", "b")
		if err == nil && len(got) > maxKeptLines {
			t.Fatalf("%d series", len(got))
		}
	})
}
