package admin

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/planwarm/planwarm/manifest"
	"github.com/planwarm/planwarm/warmer"
)

// oneGraph is a Sidecar with one graph that does nothing.
type oneGraph struct{}

func (oneGraph) Status() warmer.Status {
	return warmer.Status{Graphs: []warmer.GraphStatus{{Graph: manifest.Graph{Namespace: "default", Name: "storefront"}}}}
}

func (oneGraph) Recompute(context.Context, manifest.Graph) (warmer.PublishReport, error) {
	return warmer.PublishReport{}, nil
}

func (oneGraph) Trigger(context.Context, manifest.Graph, warmer.Reason) error { return nil }

func TestTouch(t *testing.T) {
	var touched []string
	var refuse error
	touch := func(_ context.Context, g manifest.Graph) error {
		touched = append(touched, g.String())
		return refuse
	}
	ask := func(touch func(context.Context, manifest.Graph) error, method, query, token string) (int, string) {
		t.Helper()
		h, err := NewControl(ControlOptions{Sidecar: oneGraph{}, Touch: touch, Token: "right"})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(method, "/touch"+query, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if code, body := ask(touch, http.MethodPost, "", "right"); code != http.StatusAccepted || !strings.Contains(body, `"touched"`) || len(touched) != 1 || touched[0] != "default/storefront" {
		t.Errorf("status %d, %s, touched %v", code, body, touched)
	}
	refuse = errors.New("not now")
	if code, body := ask(touch, http.MethodPost, "", "right"); code != http.StatusConflict || !strings.Contains(body, "not now") {
		t.Errorf("not the time for it: status %d, %s", code, body)
	}
	touched = nil
	for name, c := range map[string]struct {
		touch                func(context.Context, manifest.Graph) error
		method, query, token string
		want                 int
	}{
		"another graph": {touch, http.MethodPost, "?graph=other", "right", http.StatusNotFound},
		"a wrong token": {touch, http.MethodPost, "", "wrong", http.StatusUnauthorized},
		"a GET":         {touch, http.MethodGet, "", "right", http.StatusMethodNotAllowed},
		"nothing there": {nil, http.MethodPost, "", "right", http.StatusNotFound},
	} {
		if code, body := ask(c.touch, c.method, c.query, c.token); code != c.want || len(touched) != 0 {
			t.Errorf("%s: status %d, %s, touched %v", name, code, body, touched)
		}
	}
}
