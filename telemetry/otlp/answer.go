package otlp

import (
	"encoding/json"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// Answers are few and small, so they are written by hand in both encodings.

// success is an Export...ServiceResponse: empty, or with the partial success
// that says how many parts were rejected and why the first was. Both signals
// write it alike in protobuf and name the count differently in JSON.
func success(signal Signal, enc Encoding, res Result) []byte {
	if res.Rejected == 0 {
		if enc == JSON {
			return []byte("{}")
		}
		return nil
	}
	var reason string
	if res.Reason != nil {
		reason = res.Reason.Error()
	}
	if enc == JSON {
		count := "rejectedSpans"
		if signal == Metrics {
			count = "rejectedDataPoints"
		}
		b, err := json.Marshal(map[string]map[string]string{
			"partialSuccess": {count: strconv.Itoa(res.Rejected), "errorMessage": reason},
		})
		if err != nil {
			return []byte("{}") // strings always marshal
		}
		return b
	}
	partial := protowire.AppendTag(nil, 1, protowire.VarintType)
	partial = protowire.AppendVarint(partial, uint64(res.Rejected))
	partial = protowire.AppendTag(partial, 2, protowire.BytesType)
	partial = protowire.AppendString(partial, reason)
	return protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), partial)
}

// failure is a google.rpc.Status.
func failure(enc Encoding, code uint32, message string) []byte {
	if enc == JSON {
		b, err := json.Marshal(struct {
			Code    uint32 `json:"code"`
			Message string `json:"message"`
		}{code, message})
		if err != nil {
			return []byte("{}") // strings always marshal
		}
		return b
	}
	b := protowire.AppendTag(nil, 1, protowire.VarintType)
	b = protowire.AppendVarint(b, uint64(code))
	b = protowire.AppendTag(b, 2, protowire.BytesType)
	return protowire.AppendString(b, message)
}
