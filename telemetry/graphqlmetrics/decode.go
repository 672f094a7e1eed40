// Package graphqlmetrics takes the schema usage that Cosmo Router reports:
// which operations were executed how often, with their normalised texts. It is
// the Connect protocol's unary POST, in protobuf or JSON.
package graphqlmetrics

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/VictoriaMetrics/easyproto"
	"github.com/planwarm/planwarm/telemetry"
)

// Bounds of one body.
const (
	maxAggregations = 100_000
	maxName         = 512       // bytes of a hash, a name, a client
	maxText         = 256 << 10 // bytes of an operation
	maxCount        = 1 << 40   // requests of one aggregation
)

// What is wrong with a body or a part of it.
var (
	ErrMalformed = errors.New("malformed schema usage")
	ErrTooMany   = errors.New("more aggregations than the limit of a body")
)

// Encoding of a body.
type Encoding uint8

// The encodings of Connect.
const (
	Protobuf Encoding = iota
	JSON
)

// String names the encoding by its media type.
func (e Encoding) String() string {
	if e == JSON {
		return "application/json"
	}
	return "application/proto"
}

// Usage is one decoded body.
type Usage struct {
	Requests []telemetry.Request
	Rejected int   // aggregations that were left out as malformed
	Reason   error // why the first of them was
}

func (u *Usage) reject(err error) {
	if u.Rejected++; u.Reason == nil {
		u.Reason = err
	}
}

// Decode reads a PublishAggregatedGraphQLRequestMetricsRequest. An aggregation
// that is malformed in itself is left out and counted; the error says that the
// body as a whole is not what it claims to be. Nothing of the result aliases
// the body.
func Decode(body []byte, enc Encoding) (Usage, error) {
	d := decoder{kept: make(map[string]string)}
	decode := d.proto
	if enc == JSON {
		decode = d.json
	}
	if err := decode(body); err != nil {
		return Usage{}, fmt.Errorf("decode schema usage: %w", err)
	}
	return d.usage, nil
}

// decoder keeps each string of a body once: the same operation is in it for
// each client, with its whole text.
type decoder struct {
	usage Usage
	kept  map[string]string
}

// Fields of the messages: SchemaUsage, which has the rest as messages.
const (
	fieldDocument  = 1
	fieldOperation = 3
	fieldClient    = 5
	fieldRequest   = 6
)

func (d *decoder) proto(body []byte) error {
	var fc easyproto.FieldContext
	var err error
	for len(body) > 0 {
		if body, err = fc.NextField(body); err != nil {
			return fmt.Errorf("%w: protobuf", ErrMalformed)
		}
		if fc.FieldNum != 1 {
			continue
		}
		aggregation, ok := fc.MessageData()
		if !ok {
			return fmt.Errorf("%w: protobuf", ErrMalformed)
		}
		var r telemetry.Request
		if !protoAggregation(aggregation, &r) {
			d.usage.reject(fmt.Errorf("%w: protobuf", ErrMalformed))
			continue
		}
		d.add(&r)
	}
	return nil
}

// protoAggregation reads an aggregation; the strings alias the body.
func protoAggregation(b []byte, r *telemetry.Request) bool {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return false
		}
		ok := true
		switch fc.FieldNum {
		case 1:
			var usage []byte
			if usage, ok = fc.MessageData(); ok {
				ok = protoUsage(usage, r)
			}
		case 2:
			r.Count, ok = fc.Uint64()
		}
		if !ok {
			return false
		}
	}
	return true
}

func protoUsage(b []byte, r *telemetry.Request) bool {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return false
		}
		ok := true
		switch field := fc.FieldNum; field {
		case fieldDocument:
			r.Document, ok = fc.String()
		case fieldOperation, fieldClient, fieldRequest:
			var info []byte
			if field == fieldOperation {
				r.Op.Type = operationType(0) // a zero value is not sent
			}
			if info, ok = fc.MessageData(); ok {
				ok = protoInfo(info, field, r)
			}
		}
		if !ok {
			return false
		}
	}
	return true
}

// protoInfo reads OperationInfo, ClientInfo or RequestInfo, as field tells.
func protoInfo(b []byte, field uint32, r *telemetry.Request) bool {
	var fc easyproto.FieldContext
	var err error
	for len(b) > 0 {
		if b, err = fc.NextField(b); err != nil {
			return false
		}
		ok := true
		var u uint64
		switch {
		case field == fieldOperation && fc.FieldNum == 1:
			r.Op.Hash, ok = fc.String()
		case field == fieldOperation && fc.FieldNum == 2:
			r.Op.Name, ok = fc.String()
		case field == fieldOperation && fc.FieldNum == 3:
			u, ok = fc.Uint64()
			r.Op.Type = operationType(u)
		case field == fieldClient && fc.FieldNum == 1:
			r.Op.Client.Name, ok = fc.String()
		case field == fieldClient && fc.FieldNum == 2:
			r.Op.Client.Version, ok = fc.String()
		case field == fieldRequest && fc.FieldNum == 2:
			u, ok = fc.Uint64()
			r.Failed = u != 0
		}
		if !ok {
			return false
		}
	}
	return true
}

// operationType names the enum of the router, "" for one that is not known.
func operationType(u uint64) string {
	switch u {
	case 0:
		return "query"
	case 1:
		return "mutation"
	case 2:
		return "subscription"
	}
	return ""
}

// add checks a request and keeps it without the body.
func (d *decoder) add(r *telemetry.Request) {
	switch {
	case len(d.usage.Requests) >= maxAggregations:
		d.usage.reject(ErrTooMany)
		return
	case r.Count == 0:
		return // nothing happened
	case r.Count > maxCount:
		d.usage.reject(fmt.Errorf("%w: a count beyond reason", ErrMalformed))
		return
	case len(r.Op.Hash) > maxName || len(r.Op.Name) > maxName || !utf8.ValidString(r.Op.Hash) || !utf8.ValidString(r.Op.Name):
		d.usage.reject(fmt.Errorf("%w: a hash or name beyond reason", ErrMalformed))
		return
	case len(r.Document) > maxText || !utf8.ValidString(r.Document):
		// Too large to be kept, but executed all the same.
		r.Document = ""
	}
	d.usage.Requests = append(d.usage.Requests, telemetry.Request{
		Op: telemetry.Operation{
			Hash:   d.keep(r.Op.Hash),
			Name:   d.keep(r.Op.Name),
			Type:   d.keep(r.Op.Type),
			Client: telemetry.Client{Name: d.keep(short(r.Op.Client.Name)), Version: d.keep(short(r.Op.Client.Version))},
		},
		Document: d.keep(r.Document),
		Count:    r.Count,
		Failed:   r.Failed,
	})
}

// short is a client's name or version, "" when no client would send it.
func short(s string) string {
	if len(s) > maxName || !utf8.ValidString(s) {
		return ""
	}
	return s
}

func (d *decoder) keep(s string) string {
	if s == "" {
		return ""
	}
	if k, ok := d.kept[s]; ok {
		return k
	}
	s = strings.Clone(s)
	d.kept[s] = s
	return s
}
