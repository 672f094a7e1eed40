package persisted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/planwarm/planwarm/manifest"
)

// reader gathers what a file has.
type reader struct {
	File
	seen map[identity]string // where each was first
}

// identity is what no two entries share: an id may serve several clients.
type identity struct {
	id     string
	client manifest.Client
}

// entry is one entry as its format has it.
type entry struct {
	at     string
	id     string
	noID   bool   // the format allows an entry without one
	name   string // that the file says; "" when it does not
	chosen bool   // name chooses among the operations of the text
	text   string
	client *manifest.Client
}

// refuse notes why an entry cannot be used; the others go on.
func (r *reader) refuse(at string, err error) {
	r.Problems = append(r.Problems, Problem{Entry: at, Reason: err.Error()})
}

// add checks an entry and takes it.
func (r *reader) add(e entry) {
	op, err := r.check(e)
	if err != nil {
		r.refuse(e.at, err)
		return
	}
	r.Operations = append(r.Operations, op)
}

func (r *reader) check(e entry) (Operation, error) {
	if err := e.bounds(); err != nil {
		return Operation{}, err
	}
	op := Operation{Entry: e.at, ID: e.id, Text: e.text, Client: e.client}
	var err error
	if op.Name, err = e.operationName(); err != nil {
		return op, err
	}
	op.Sent = op.Name
	if e.chosen {
		op.Sent = e.name
	}
	if len(op.Name) > manifest.MaxNameBytes {
		return op, fmt.Errorf("the operation's name has %d bytes, at most %d", len(op.Name), manifest.MaxNameBytes)
	}
	if e.noID {
		return op, nil
	}
	if op.IDKind, err = checkID(e.id, e.text); err != nil {
		return op, err
	}
	who := identity{id: e.id}
	if e.client != nil {
		who.client = *e.client
	}
	if first, twice := r.seen[who]; twice {
		return op, fmt.Errorf("the id is there twice, first at %s", first)
	}
	r.seen[who] = e.at
	return op, nil
}

// bounds checks what a manifest could not hold.
func (e entry) bounds() error {
	switch {
	case e.id == "" && !e.noID:
		return errors.New("the id is empty")
	case len(e.id) > manifest.MaxNameBytes:
		return fmt.Errorf("the id has %d bytes, at most %d", len(e.id), manifest.MaxNameBytes)
	case len(e.name) > manifest.MaxNameBytes:
		return fmt.Errorf("the name has %d bytes, at most %d", len(e.name), manifest.MaxNameBytes)
	case strings.TrimSpace(e.text) == "":
		return errors.New("there is no query text")
	case len(e.text) > manifest.MaxQueryBytes:
		return fmt.Errorf("the text has %d bytes, at most %d", len(e.text), manifest.MaxQueryBytes)
	case e.client != nil && max(len(e.client.Name), len(e.client.Version)) > manifest.MaxNameBytes:
		return fmt.Errorf("the client's name or version has more than %d bytes", manifest.MaxNameBytes)
	}
	return nil
}

// operationName is the name of the entry's one operation.
func (e entry) operationName() (string, error) {
	names, err := operationNames(e.text)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", errors.New("the text has no operation")
	case e.chosen && e.name != "":
		for _, n := range names {
			if n == e.name {
				return n, nil
			}
		}
		return "", errors.New("the text has no operation of the request's name")
	case len(names) > 1:
		return "", fmt.Errorf("the text has %d operations: a persisted document has one", len(names))
	case e.name != "" && e.name != names[0]:
		return "", errors.New("the operation in the text has another name than the entry")
	}
	return names[0], nil
}

// member is one member of a JSON object.
type member struct {
	key   string
	value json.RawMessage
}

func find(members []member, key string) json.RawMessage {
	for _, m := range members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// objectMembers splits an object into its members in their order. A map would
// lose all but one of those that are there twice.
func objectMembers(data []byte) ([]member, error) {
	var out []member
	err := each(data, '{', func(dec *json.Decoder) error {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		m := member{key: fmt.Sprint(key)}
		out = append(out, m)
		return dec.Decode(&out[len(out)-1].value)
	})
	return out, err
}

// listItems splits a list.
func listItems(data []byte) ([]json.RawMessage, error) {
	var out []json.RawMessage
	err := each(data, '[', func(dec *json.Decoder) error {
		out = append(out, nil)
		return dec.Decode(&out[len(out)-1])
	})
	return out, err
}

// each calls next for every element of a list or object, at most as many as a
// manifest can have.
func each(data []byte, open json.Delim, next func(*json.Decoder) error) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != open {
		return fmt.Errorf("%w: operations do not have the shape of the format", manifest.ErrFormat)
	}
	for n := 0; dec.More(); n++ {
		if n == manifest.MaxEntries {
			return fmt.Errorf("%w: more than %d operations", manifest.ErrTooLarge, manifest.MaxEntries)
		}
		if err := next(dec); err != nil {
			return fmt.Errorf("%w: %w", manifest.ErrMalformed, err)
		}
	}
	return nil
}

// clip shortens an id for a message.
func clip(id string) string {
	const most = 80
	if len(id) <= most {
		return id
	}
	n := most
	for n > 0 && !utf8.RuneStart(id[n]) {
		n--
	}
	return id[:n] + "... (" + strconv.Itoa(len(id)) + " bytes)"
}
