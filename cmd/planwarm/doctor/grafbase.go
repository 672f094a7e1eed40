package doctor

import (
	"regexp"
	"strconv"
	"strings"
)

// tomlSection finds the keys of a section of TOML, up to the next one.
var (
	tomlComment = regexp.MustCompile(`(?m)#[^"\n]*$`)
	tomlHeader  = regexp.MustCompile(`(?m)^\s*\[+([^\]\n]+)\]+\s*$`)
	tomlKey     = regexp.MustCompile(`(?m)^\s*([A-Za-z0-9_-]+)\s*=\s*(\S+)\s*$`)
)

// caching are the settings of [operation_caching], which are numbers and
// booleans, each on a line of its own.
func (l *look) caching() map[string]string {
	text := tomlComment.ReplaceAllString(l.doc.source, "")
	out := map[string]string{}
	headers := tomlHeader.FindAllStringSubmatchIndex(text, -1)
	for i, h := range headers {
		if strings.TrimSpace(text[h[2]:h[3]]) != "operation_caching" {
			continue
		}
		end := len(text)
		if i+1 < len(headers) {
			end = headers[i+1][0]
		}
		for _, m := range tomlKey.FindAllStringSubmatch(text[h[1]:end], -1) {
			out[m[1]] = m[2]
		}
	}
	return out
}

// integer is a setting, or what the gateway takes when there is none.
func integer(s string, otherwise float64) float64 {
	if n, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64); err == nil {
		return n
	}
	return otherwise
}

var grafbase = []Check{
	{
		ID: "grafbase-caching-off", Subject: Grafbase, Topic: PlanOnly, Severity: Error, In: RouterFile,
		Good:  "operations are cached",
		Means: "The gateway caches no operations: whatever is warmed is planned again.",
		Fix:   "[operation_caching]\nenabled = true",
		run: func(l *look) verdict {
			return when(l.caching()["enabled"] == "false", "operation_caching.enabled")
		},
	},
	{
		ID: "grafbase-warming-percent", Subject: Grafbase, Topic: Pull, Severity: Warning, In: RouterFile,
		Good:  "the gateway's own warm-up does what it says",
		Means: "warming_percent is below 100, and any such percentage warms nothing at a reload: the gateway divides integers.",
		Fix:   "[operation_caching]\nwarm_on_reload = true\nwarming_percent = 100",
		run: func(l *look) verdict {
			c := l.caching()
			return when(c["warm_on_reload"] == "true" && integer(c["warming_percent"], 100) < 100, "operation_caching.warming_percent")
		},
	},
	{
		ID: "grafbase-manifest-above-cache", Subject: Grafbase, Topic: PlanOnly, Severity: Warning, In: RouterFile,
		Good:  "the list fits into the cache",
		Means: "The list may have more than 0.9 of the cache; each operation is kept twice: with its name sent, and without.",
		Fix:   "[operation_caching]\nlimit = {cache}",
		run: func(l *look) verdict {
			n := integer(l.caching()["limit"], 1000)
			return when(!l.fits(n), "operation_caching.limit").because(l.sizes(n))
		},
	},
}
