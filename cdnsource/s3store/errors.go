package s3store

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/planwarm/planwarm/cdnsource"
)

// op is what a call was for: the same answer means different things.
type op int

const (
	opGet     op = iota // a 404 is a missing key
	opPut               // a 404 is a missing bucket
	opReplace           // with If-Match: a 404 is a lost race
	opBucket            // on the bucket itself
)

// maxCodeLen bounds what of a server's error code is repeated.
const maxCodeLen = 64

// classify turns an error of the SDK into an outcome of cdnsource. It looks at
// the code first and then at the status, since Ceph answers 412 with no code.
// Nothing of the server's message is kept: it may repeat what was sent.
func classify(err error, o op) error {
	code, status := codeOf(err), statusOf(err)
	outcome := byCode(code, o)
	if outcome == nil {
		outcome = byStatus(status, o)
	}
	switch {
	case outcome == nil && status >= 300 && status < 400:
		return fmt.Errorf("answer %d is a redirect: check endpoint and region", status)
	case outcome == nil:
		return fmt.Errorf("answer %d %s", status, code)
	case status != 0:
		return fmt.Errorf("%w (answer %d %s)", outcome, status, code)
	}
	return fmt.Errorf("%w: %w", outcome, cause(err))
}

func byCode(code string, o op) error {
	switch code {
	case "PreconditionFailed", "ConditionalRequestConflict", "OperationAborted":
		return cdnsource.ErrConflict
	case "NoSuchKey", "NotFound", "NoSuchVersion":
		return missing(o)
	case "NoSuchBucket":
		return cdnsource.ErrNoBucket
	case "NotModified":
		return cdnsource.ErrNotModified
	case "SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied", "AllAccessDisabled", "ExpiredToken", "InvalidToken",
		"TokenRefreshRequired", "RequestTimeTooSkewed", "AuthorizationHeaderMalformed",
		"XAdminUserNotFound": // versitygw's word for an unknown access key, with a 404
		return cdnsource.ErrDenied
	case "RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable":
		return cdnsource.ErrAmbiguous
	}
	return nil
}

func byStatus(status int, o op) error {
	switch {
	case status == http.StatusNotModified:
		return cdnsource.ErrNotModified
	case status == http.StatusConflict, status == http.StatusPreconditionFailed:
		return cdnsource.ErrConflict
	case status == http.StatusNotFound:
		return missing(o)
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return cdnsource.ErrDenied
	case status == 0, status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status >= 500:
		return cdnsource.ErrAmbiguous // no answer, or none that says what was done
	case status >= 200 && status < 300:
		return cdnsource.ErrAmbiguous // a success whose body cannot be read
	}
	return nil
}

func missing(o op) error {
	switch o {
	case opReplace:
		return cdnsource.ErrConflict
	case opPut, opBucket:
		return cdnsource.ErrNoBucket
	default:
		return cdnsource.ErrNotFound
	}
}

// codeOf returns the server's error code, cut down to what a code can be.
func codeOf(err error) string {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return ""
	}
	code := api.ErrorCode()
	if len(code) > maxCodeLen {
		return ""
	}
	for i := range len(code) {
		c := code[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return ""
		}
	}
	return code
}

func statusOf(err error) int {
	var re *smithyhttp.ResponseError
	if errors.As(err, &re) && re.Response != nil && re.Response.Response != nil {
		return re.HTTPStatusCode()
	}
	return 0
}

// cause is the innermost error worth telling of a call without an answer.
func cause(err error) error {
	for _, known := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	var send *smithyhttp.RequestSendError
	if errors.As(err, &send) {
		return send.Err
	}
	var operation *smithy.OperationError
	if errors.As(err, &operation) {
		return operation.Err
	}
	return err
}

// isOwnBucket says that a bucket was there already. versitygw says so with
// BucketAlreadyExists even to the owner, who is the only account it has.
func isOwnBucket(err error) bool {
	code := codeOf(err)
	return code == "BucketAlreadyOwnedByYou" || code == "BucketAlreadyExists"
}
