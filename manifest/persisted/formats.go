package persisted

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/planwarm/planwarm/manifest"
)

const (
	apolloFormat = "apollo-persisted-query-manifest"
	// onlyVersion is the only version that any of the formats has.
	onlyVersion = "1"
	fileEnding  = ".json"
)

// FileName says whether a file is called as those are that hold one operation
// each: by the sha256 of its text.
func FileName(name string) bool {
	id, ok := strings.CutSuffix(baseName(name), fileEnding)
	_, err := hex.DecodeString(id)
	return ok && err == nil && len(id) == 64
}

func baseName(name string) string { return path.Base(strings.ReplaceAll(name, `\`, "/")) }

func (r *reader) apollo(members []member) error {
	var format string
	if err := json.Unmarshal(find(members, "format"), &format); err != nil || format != apolloFormat {
		return fmt.Errorf("%w: format is not %s", manifest.ErrFormat, apolloFormat)
	}
	if err := checkVersion(find(members, "version")); err != nil {
		return err
	}
	list, err := listItems(find(members, "operations"))
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	r.Format = FormatApollo
	for i, raw := range list {
		at := "operations[" + strconv.Itoa(i) + "]"
		var o struct {
			ID         *string `json:"id"`
			Name       string  `json:"name"`
			Body       *string `json:"body"`
			ClientName string  `json:"clientName"`
		}
		if err := json.Unmarshal(raw, &o); err != nil || o.ID == nil || o.Body == nil {
			r.refuse(at, errors.New("an entry is an object with id and body"))
			continue
		}
		e := entry{at: at, id: *o.ID, name: o.Name, text: *o.Body}
		if o.ClientName != "" {
			e.client = &manifest.Client{Name: o.ClientName}
		}
		r.add(e)
	}
	return nil
}

// cosmo reads the warm-up manifest. Its name tells which operation of a
// document is meant, so one with several is fine.
func (r *reader) cosmo(operations json.RawMessage) error {
	list, err := listItems(operations)
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	r.Format = FormatCosmo
	for i, raw := range list {
		at := "operations[" + strconv.Itoa(i) + "]"
		var o struct {
			Request *manifest.Request `json:"request"`
			Client  *manifest.Client  `json:"client"`
		}
		if err := json.Unmarshal(raw, &o); err != nil || o.Request == nil {
			r.refuse(at, errors.New("an entry is an object with request and client"))
			continue
		}
		e := entry{at: at, name: o.Request.OperationName, text: o.Request.Query, client: o.Client, noID: true, chosen: true}
		if x := o.Request.Extensions; x != nil && x.PersistedQuery != nil {
			e.id, e.noID = x.PersistedQuery.SHA256Hash, false
		}
		r.add(e)
	}
	return nil
}

func (r *reader) cosmoPQL(version, operations json.RawMessage) error {
	if err := checkVersion(version); err != nil {
		return err
	}
	members, err := objectMembers(operations)
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	return r.texts(FormatCosmoPQL, members)
}

func (r *reader) cosmoFile(version, body json.RawMessage) error {
	if err := checkVersion(version); err != nil {
		return err
	}
	var text string
	if err := json.Unmarshal(body, &text); err != nil {
		return fmt.Errorf("%w: body is not a string", manifest.ErrFormat)
	}
	r.Format = FormatCosmoFile
	if !FileName(r.Name) {
		r.refuse("body", errors.New("the file is not named by the sha256 of its text"))
		return nil
	}
	r.add(entry{at: "body", id: strings.TrimSuffix(baseName(r.Name), fileEnding), text: text})
	return nil
}

func (r *reader) pairs(data []byte) error {
	list, err := listItems(data)
	if err != nil {
		return err
	}
	r.Format = FormatPairs
	shaped := len(list) == 0
	for i, raw := range list {
		at := "[" + strconv.Itoa(i) + "]"
		var pair []string
		if err := json.Unmarshal(raw, &pair); err != nil || len(pair) != 2 {
			r.refuse(at, errors.New("an entry is a list of id and text"))
			continue
		}
		shaped = true
		r.add(entry{at: at, id: pair[0], text: pair[1]})
	}
	if !shaped {
		return fmt.Errorf("%w: a list, but not of pairs of id and text", manifest.ErrFormat)
	}
	return nil
}

// texts reads an object of ids to texts.
func (r *reader) texts(f Format, members []member) error {
	r.Format = f
	shaped := len(members) == 0
	for _, m := range members {
		at := strconv.Quote(clip(m.key))
		var text string
		if err := json.Unmarshal(m.value, &text); err != nil || m.value[0] != '"' {
			r.refuse(at, errors.New("an entry is an id with a text"))
			continue
		}
		shaped = true
		r.add(entry{at: at, id: m.key, text: text})
	}
	if !shaped {
		return fmt.Errorf("%w: no list of operations, and not an object of ids and texts", manifest.ErrFormat)
	}
	return nil
}

func checkVersion(raw json.RawMessage) error {
	if string(raw) != onlyVersion {
		return fmt.Errorf("%w: version is not %s", manifest.ErrFormat, onlyVersion)
	}
	return nil
}
