package controlplane

import (
	"encoding/json"

	"github.com/VictoriaMetrics/easyproto"
)

// Field numbers of SelfRegisterResponse and what is in it.
const (
	fieldResponse         = 1
	fieldRegistrationInfo = 2
	fieldAccountLimits    = 1 // of RegistrationInfo
	fieldGraphPublicKey   = 2
	fieldTraceSampling    = 1 // of AccountLimits
	fieldCode             = 1 // of Response
)

// allTraces does not limit what the router's own configuration samples.
const allTraces = 1

// codeOK is EnumStatusCode OK. Being zero it is usually left out on the wire.
const codeOK = 0

var marshalers easyproto.MarshalerPool

// encodeProto returns the SelfRegisterResponse with a public key.
func encodeProto(key string) []byte {
	m := marshalers.Get()
	defer marshalers.Put(m)
	root := m.MessageMarshaler()
	root.AppendMessage(fieldResponse).AppendInt32(fieldCode, codeOK)
	info := root.AppendMessage(fieldRegistrationInfo)
	info.AppendMessage(fieldAccountLimits).AppendFloat(fieldTraceSampling, allTraces)
	info.AppendString(fieldGraphPublicKey, key)
	return m.Marshal(nil)
}

// encodeJSON is encodeProto as protojson has it.
func encodeJSON(key string) []byte {
	var v struct {
		Response struct {
			Code string `json:"code"`
		} `json:"response"`
		RegistrationInfo struct {
			AccountLimits struct {
				TraceSamplingRate float32 `json:"traceSamplingRate"`
			} `json:"accountLimits"`
			GraphPublicKey string `json:"graphPublicKey"`
		} `json:"registrationInfo"`
	}
	v.Response.Code = "OK"
	v.RegistrationInfo.AccountLimits.TraceSamplingRate = allTraces
	v.RegistrationInfo.GraphPublicKey = key
	body, err := json.Marshal(v)
	if err != nil {
		return nil // strings and a finite number always marshal
	}
	return body
}

// wellFormed says whether data is a protobuf message, whatever its fields: the
// request may grow some.
func wellFormed(data []byte) bool {
	var fc easyproto.FieldContext
	for len(data) > 0 {
		var err error
		if data, err = fc.NextField(data); err != nil {
			return false
		}
	}
	return true
}
