package graphqlmetrics

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/planwarm/planwarm/telemetry"
)

// aggregationJSON is an aggregation in protobuf's JSON mapping, as far as it
// matters.
type aggregationJSON struct {
	SchemaUsage struct {
		RequestDocument string
		OperationInfo   struct {
			Hash, Name string
			Type       operationTypeJSON
		}
		ClientInfo  struct{ Name, Version string }
		RequestInfo struct {
			Error bool `json:"error"`
		}
	}
	RequestCount countJSON
}

// json reads the aggregations one by one: the whole list decoded at once
// would take many times the memory of the body.
func (d *decoder) json(body []byte) error {
	if !json.Valid(body) {
		return fmt.Errorf("%w: JSON", ErrMalformed)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return fmt.Errorf("%w: JSON is no object", ErrMalformed)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return fmt.Errorf("%w: JSON", ErrMalformed)
		}
		if key == "Aggregation" || key == "aggregation" {
			err = d.jsonAggregations(dec)
		} else {
			err = skip(dec)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) jsonAggregations(dec *json.Decoder) error {
	t, err := dec.Token()
	if err == nil && t == nil {
		return nil // null
	}
	if err != nil || t != json.Delim('[') {
		return fmt.Errorf("%w: JSON of the wrong type", ErrMalformed)
	}
	for dec.More() {
		var a aggregationJSON
		err := dec.Decode(&a)
		var wrongType *json.UnmarshalTypeError
		switch {
		case errors.As(err, &wrongType) || errors.Is(err, ErrMalformed):
			// The decoder stands behind the element all the same.
			d.usage.reject(fmt.Errorf("%w: JSON of the wrong type", ErrMalformed))
			continue
		case err != nil:
			return fmt.Errorf("%w: JSON", ErrMalformed)
		}
		u := &a.SchemaUsage
		if u.OperationInfo.Type == "" && u.OperationInfo.Hash != "" {
			u.OperationInfo.Type = operationTypeJSON(operationType(0)) // a zero value is not sent
		}
		d.add(&telemetry.Request{
			Op: telemetry.Operation{
				Hash:   u.OperationInfo.Hash,
				Name:   u.OperationInfo.Name,
				Type:   string(u.OperationInfo.Type),
				Client: telemetry.Client{Name: u.ClientInfo.Name, Version: u.ClientInfo.Version},
			},
			Document: u.RequestDocument,
			Count:    uint64(a.RequestCount),
			Failed:   u.RequestInfo.Error,
		})
	}
	_, err = dec.Token()
	return err
}

// skip steps over one value token by token, so that its size costs nothing.
func skip(dec *json.Decoder) error {
	depth := 0
	for {
		t, err := dec.Token()
		if errors.Is(err, io.EOF) || err != nil {
			return fmt.Errorf("%w: JSON", ErrMalformed)
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// countJSON is a 64-bit integer, written as a number or a string.
type countJSON uint64

// UnmarshalJSON implements json.Unmarshaler.
func (c *countJSON) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	u, err := strconv.ParseUint(string(bytes.Trim(b, `"`)), 10, 64)
	if err != nil {
		return ErrMalformed
	}
	*c = countJSON(u)
	return nil
}

// operationTypeJSON is the enum by its number or its name.
type operationTypeJSON string

// UnmarshalJSON implements json.Unmarshaler.
func (o *operationTypeJSON) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null":
	case `"QUERY"`, "0":
		*o = "query"
	case `"MUTATION"`, "1":
		*o = "mutation"
	case `"SUBSCRIPTION"`, "2":
		*o = "subscription"
	default:
		return ErrMalformed
	}
	return nil
}
