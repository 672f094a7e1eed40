package cosmo

import (
	"io"

	"github.com/planwarm/planwarm/planner/planhttp"
)

const (
	cacheKeys    = "router_graphql_cache_keys_stats_total"
	processStart = "process_start_time_seconds"
	threads      = "go_sched_gomaxprocs_threads"
)

// maxCores is the most that is believed of a page.
const maxCores = 256

// page is what a Prometheus page of a router says of its life.
type page struct {
	started float64            // start time of the process, 0 when unknown
	threads float64            // that may run Go code at the same time, 0 when unknown
	added   map[string]float64 // plans added to the cache, by the labels of the series
}

// since compares with an earlier page and returns the sign of a reload in
// between, or "". A series that is gone counts too: a reload to another config
// version replaces the series, and the new one can already be higher.
func (p page) since(before page) string {
	if before.started != 0 && p.started != 0 && p.started != before.started {
		return planhttp.SignInstance
	}
	for labels, old := range before.added {
		if now, ok := p.added[labels]; !ok || now < old {
			return SignCache
		}
	}
	return ""
}

func (p page) cores() int {
	if !(p.threads >= 1) { // nor NaN
		return 0
	}
	return int(min(p.threads, maxCores))
}

func readPage(r io.Reader) (page, error) {
	series, err := planhttp.ReadPage(r, processStart, threads, cacheKeys)
	if err != nil {
		return page{}, err
	}
	p := page{added: map[string]float64{}}
	for _, s := range series {
		switch {
		case s.Name == processStart:
			p.started = s.Value
		case s.Name == threads:
			p.threads = s.Value
		case s.Labels["cache_type"] == "plan" && s.Labels["operation"] == "added":
			p.added[s.Key()] += s.Value
		}
	}
	return p, nil
}
