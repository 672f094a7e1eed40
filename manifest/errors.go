package manifest

import "errors"

// Outcomes that a caller acts on.
var (
	// ErrFormat: a document of another format or version.
	ErrFormat = errors.New("unknown format")
	// ErrTooLarge: more bytes, values or operations than the format allows.
	ErrTooLarge = errors.New("too large")
	// ErrMalformed: not one JSON document of the right shape: truncated, a syntax error, a wrong type.
	ErrMalformed = errors.New("malformed")
	// ErrInvalid: well-formed, but breaks rules of the format; the faults follow, one a line.
	ErrInvalid = errors.New("invalid")
	// ErrUnsigned: a signature was asked for and there is none.
	ErrUnsigned = errors.New("not signed")
	// ErrSignature: the signature is of an unknown key, or does not fit the content.
	ErrSignature = errors.New("signature refused")
	// ErrWouldEvict: a push of several operations would push others out, and nobody allowed it.
	ErrWouldEvict = errors.New("push would evict")
	// ErrNotFound: no pin or denial goes by that name.
	ErrNotFound = errors.New("not found")
	// ErrAmbiguous: several pins go by that name.
	ErrAmbiguous = errors.New("ambiguous")
)
