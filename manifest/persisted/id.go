package persisted

import (
	"crypto/md5"  //nolint:gosec // Relay's ids; it tells texts apart and protects nothing
	"crypto/sha1" //nolint:gosec // graphql-codegen's ids, likewise
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// IDKind says what an id is.
type IDKind string

// The kinds of ids.
const (
	IDNone   IDKind = ""       // the entry has no id
	IDSHA256 IDKind = "sha256" // of the text, which was checked
	IDSHA1   IDKind = "sha1"   // likewise
	IDMD5    IDKind = "md5"    // likewise
	IDCustom IDKind = "custom" // chosen by whoever wrote the file
)

const prefixSHA256 = "sha256:"

// checkID tells what kind of id this is. What looks like a hash has to be that
// of the text; tools differ in whether they hash its last newline.
func checkID(id, text string) (IDKind, error) {
	digits, prefixed := strings.CutPrefix(id, prefixSHA256)
	kind := IDCustom
	if _, err := hex.DecodeString(digits); err == nil {
		switch len(digits) {
		case hex.EncodedLen(sha256.Size):
			kind = IDSHA256
		case hex.EncodedLen(sha1.Size):
			kind = IDSHA1
		case hex.EncodedLen(md5.Size):
			kind = IDMD5
		}
	}
	if prefixed && kind != IDSHA256 {
		return "", fmt.Errorf("the id does not have the %d hexadecimal digits of a sha256", hex.EncodedLen(sha256.Size))
	}
	if kind == IDCustom {
		return kind, nil
	}
	for _, form := range []string{text, strings.TrimSuffix(text, "\n"), text + "\n"} {
		if kind.sum(form) == strings.ToLower(digits) {
			return kind, nil
		}
	}
	return "", fmt.Errorf("the id is not the %s of the text", kind)
}

// sum is the hash of a text in hexadecimal.
func (k IDKind) sum(text string) string {
	switch k {
	case IDSHA256:
		s := sha256.Sum256([]byte(text))
		return hex.EncodeToString(s[:])
	case IDSHA1:
		s := sha1.Sum([]byte(text)) //nolint:gosec // see the import
		return hex.EncodeToString(s[:])
	default:
		s := md5.Sum([]byte(text)) //nolint:gosec // see the import
		return hex.EncodeToString(s[:])
	}
}
