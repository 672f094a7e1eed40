package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

var errNotJSON = errors.New("the body is not what this sender writes")

// quoted is a name out of a body, shortened for people.
func quoted(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return strconv.Quote(s)
}

// cosmoSender is WunderGraph Cosmo. Its deliveries carry neither an id nor a time.
func cosmoSender(secrets func() []string) sender {
	return sender{name: "cosmo", verify: signed("X-Cosmo-Signature-256", "", secrets, EncodingHex), read: readCosmo}
}

func readCosmo(body []byte) (event, error) {
	type graph struct {
		ID        string `json:"id"`
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	}
	var m struct {
		Version int    `json:"version"`
		Event   string `json:"event"`
		Payload struct {
			Federated *graph `json:"federated_graph"`
			Monograph *graph `json:"monograph"`
			Errors    bool   `json:"errors"`
		} `json:"payload"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return event{}, errNotJSON
	}
	g := m.Payload.Federated
	switch m.Event {
	case "FEDERATED_GRAPH_SCHEMA_UPDATED":
	case "MONOGRAPH_SCHEMA_UPDATED":
		g = m.Payload.Monograph
	default:
		return event{ignored: "event " + quoted(m.Event) + " changes no schema"}, nil
	}
	switch {
	case m.Version != 1:
		return event{ignored: fmt.Sprintf("version %d is not known", m.Version)}, nil
	case g == nil || g.Name == "":
		return event{}, errNotJSON
	}
	e := event{subject: quoted(g.Namespace + "/" + g.Name), concerns: func(w WebhookGraph) bool {
		return slices.ContainsFunc(w.Cosmo, func(s string) bool {
			return s == g.Name || s == g.Namespace+"/"+g.Name || s == g.ID
		})
	}}
	if m.Payload.Errors {
		e.ignored = "the composition failed: there is no new schema"
	}
	return e, nil
}

// apolloSender is Apollo GraphOS. Its page does not say in which encoding the
// signature is, so both are taken.
func apolloSender(secrets func() []string) sender {
	return sender{name: "apollo", verify: signed("X-Apollo-Signature", "sha256=", secrets, EncodingHex, EncodingBase64), read: readApollo}
}

func readApollo(body []byte) (event, error) {
	var m struct {
		EventType      string `json:"eventType"`
		EventID        string `json:"eventID"`
		BuildSucceeded bool   `json:"buildSucceeded"`
		GraphID        string `json:"graphID"`
		VariantID      string `json:"variantID"`
	}
	if err := json.Unmarshal(body, &m); err != nil {
		return event{}, errNotJSON
	}
	e := event{subject: quoted(m.VariantID), concerns: func(w WebhookGraph) bool {
		name, _, _ := strings.Cut(m.VariantID, "@")
		return slices.ContainsFunc(w.Apollo, func(s string) bool { return s == m.VariantID || s == name })
	}}
	if m.EventID != "" {
		e.identity = "event " + m.EventID
	}
	switch {
	case m.EventType != "BUILD_PUBLISH_EVENT" && m.EventType != "SCHEMA_PUBLISH":
		return event{ignored: "event " + quoted(m.EventType) + " changes no schema"}, nil
	case m.VariantID == "":
		return event{}, errNotJSON
	case m.EventType == "BUILD_PUBLISH_EVENT" && !m.BuildSucceeded:
		e.ignored = "the build failed: there is no new schema"
	}
	return e, nil
}

// hiveSender is Hive Console, which signs nothing.
func hiveSender(secrets func() []string) sender {
	return sender{name: "hive", verify: knowsSecret(secrets), read: readHive}
}

func readHive(body []byte) (event, error) {
	type node struct {
		ID   string `json:"id"`
		Slug string `json:"slug"`
		Old  string `json:"cleanId"` // what the slug was called before
		Name string `json:"name"`
	}
	var m struct {
		Organization, Project, Target node
		Schema                        *struct {
			ID    string `json:"id"`
			Valid bool   `json:"valid"`
		} `json:"schema"`
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Schema == nil || m.Target == (node{}) {
		return event{}, errNotJSON
	}
	is := func(n node, s string) bool { return s != "" && (s == n.ID || s == n.Slug || s == n.Old) }
	e := event{subject: "target " + quoted(m.Target.Slug), concerns: func(w WebhookGraph) bool {
		return slices.ContainsFunc(w.Hive, func(s string) bool {
			parts := strings.Split(s, "/")
			slices.Reverse(parts)
			for i, n := range []node{m.Target, m.Project, m.Organization} {
				if i < len(parts) && !is(n, parts[i]) {
					return false
				}
			}
			return len(parts) <= 3
		})
	}}
	if m.Schema.ID != "" {
		e.identity = "target " + m.Target.ID + " version " + m.Schema.ID
	}
	if !m.Schema.Valid {
		e.ignored = "the schema is not valid: there is no new one"
	}
	return e, nil
}

// GenericWebhook is a sender of one's own, such as a deployment script. Its body is
//
//	{"namespace": "default", "graph": "storefront", "id": "...", "failed": false}
//
// where everything but graph may be left out.
type GenericWebhook struct {
	Secrets  func() []string
	Header   string // of the signature
	Prefix   string // before it, such as "sha256="
	Encoding Encoding
}

// headerName says whether s can be the name of a header.
func headerName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

func genericSender(g GenericWebhook) (sender, error) {
	switch {
	case g.Secrets == nil:
		return sender{}, errors.New("generic webhook: no secrets")
	case !headerName(g.Header):
		return sender{}, errors.New("generic webhook: the header is not a name of one")
	case g.Encoding != EncodingHex && g.Encoding != EncodingBase64:
		return sender{}, errors.New("generic webhook: the encoding is neither hex nor base64")
	}
	return sender{name: "generic", verify: signed(http.CanonicalHeaderKey(g.Header), g.Prefix, g.Secrets, g.Encoding), read: readGeneric}, nil
}

func readGeneric(body []byte) (event, error) {
	var m struct {
		Namespace string `json:"namespace"`
		Graph     string `json:"graph"`
		ID        string `json:"id"`
		Failed    bool   `json:"failed"`
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Graph == "" {
		return event{}, errNotJSON
	}
	e := event{subject: quoted(m.Graph), concerns: func(w WebhookGraph) bool {
		return w.Graph.Name == m.Graph && (m.Namespace == "" || w.Graph.Namespace == m.Namespace)
	}}
	if m.ID != "" {
		e.identity = "id " + m.ID
	}
	if m.Failed {
		e.ignored = "the publish failed: there is no new schema"
	}
	return e, nil
}
