// Package s3store is a cdnsource.Bucket over any S3-compatible object storage.
//
// It makes single calls and says exactly how each ended; it retries nothing,
// since only the protocol above knows which write may be sent twice.
package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/planwarm/planwarm/cdnsource"
)

var _ cdnsource.Bucket = (*Bucket)(nil)

// Defaults of Options.
const (
	DefaultRegion  = "us-east-1"
	DefaultTimeout = 30 * time.Second
)

// Options say where a bucket is and who asks. Only Bucket is required.
type Options struct {
	// Endpoint is the URL of an S3-compatible server; empty for AWS itself, or
	// for what the usual chain says.
	Endpoint string
	Region   string
	Bucket   string
	// AccessKey and SecretKey are static credentials; without them the usual
	// chain of AWS is asked (environment, files, instance).
	AccessKey, SecretKey, SessionToken string
	// Timeout bounds each call: the SDK has no bound of its own.
	Timeout time.Duration
}

// Bucket is one bucket of an object storage. It is safe for concurrent use.
type Bucket struct {
	client    *s3.Client
	transport *http.Transport
	bucket    string
	timeout   time.Duration
}

// Open returns a bucket. It makes no call to it: cdnsource.Store.Probe does.
func Open(ctx context.Context, o Options) (*Bucket, error) {
	if o.Region == "" {
		o.Region = DefaultRegion
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("open bucket: %w", err)
	}
	cfg, err := o.awsConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("open bucket: load credentials: %w", err)
	}
	transport := newTransport(o.Timeout)
	client := s3.NewFromConfig(cfg, func(so *s3.Options) {
		so.HTTPClient = newHTTPClient(transport)
		so.Retryer = aws.NopRetryer{}
		so.DisableLogOutputChecksumValidationSkipped = true
		if o.Endpoint != "" {
			so.BaseEndpoint = &o.Endpoint
		}
		if so.BaseEndpoint == nil { // the usual chain may have one too: AWS_ENDPOINT_URL
			return
		}
		so.UsePathStyle = true
		// By default the SDK sends checksums as trailers over https: Ceph
		// refuses them, and others store them as data. The signature covers
		// the body either way.
		so.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		so.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
	return &Bucket{client: client, transport: transport, bucket: o.Bucket, timeout: o.Timeout}, nil
}

func (o Options) validate() error {
	var faults []error
	if o.Bucket == "" {
		faults = append(faults, errors.New("bucket: required"))
	}
	if (o.AccessKey == "") != (o.SecretKey == "") {
		faults = append(faults, errors.New("access key and secret key: both or neither"))
	}
	if o.Timeout < 0 {
		faults = append(faults, errors.New("timeout: below zero"))
	}
	if o.Endpoint != "" {
		faults = append(faults, checkEndpoint(o.Endpoint))
	}
	return errors.Join(faults...)
}

// awsConfig asks the usual chain only when no static credentials are given,
// so that a broken profile cannot break a bucket that does not need it.
func (o Options) awsConfig(ctx context.Context) (aws.Config, error) {
	if o.AccessKey != "" {
		return aws.Config{
			Region:      o.Region,
			Credentials: aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(o.AccessKey, o.SecretKey, o.SessionToken)),
		}, nil
	}
	return config.LoadDefaultConfig(ctx, config.WithRegion(o.Region))
}

// Close closes idle connections.
func (b *Bucket) Close() { b.transport.CloseIdleConnections() }

// Create creates the bucket itself; one that is there already, and ours, is no error.
func (b *Bucket) Create(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, err := b.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &b.bucket})
	if err == nil || isOwnBucket(err) {
		return nil
	}
	return fmt.Errorf("create bucket: %w", classify(err, opBucket))
}

// Get reads one object.
func (b *Bucket) Get(ctx context.Context, key string, o cdnsource.GetOptions) (cdnsource.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	in := &s3.GetObjectInput{Bucket: &b.bucket, Key: &key}
	if o.IfNoneMatch != "" {
		in.IfNoneMatch = aws.String(`"` + o.IfNoneMatch + `"`)
	}
	out, err := b.client.GetObject(ctx, in)
	if err != nil {
		return cdnsource.Object{}, fmt.Errorf("get object %s: %w", key, classify(err, opGet))
	}
	defer out.Body.Close()
	etag := unquote(out.ETag)
	if o.IfNoneMatch != "" && etag == o.IfNoneMatch { // a server that ignores the condition
		return cdnsource.Object{}, fmt.Errorf("get object %s: %w", key, cdnsource.ErrNotModified)
	}
	if aws.ToInt64(out.ContentLength) > o.Limit {
		return cdnsource.Object{}, fmt.Errorf("get object %s: %w", key, cdnsource.ErrTooLarge)
	}
	body, err := io.ReadAll(io.LimitReader(out.Body, o.Limit+1))
	switch {
	case err != nil:
		return cdnsource.Object{}, fmt.Errorf("get object %s: %w: %w", key, cdnsource.ErrAmbiguous, err)
	case int64(len(body)) > o.Limit:
		return cdnsource.Object{}, fmt.Errorf("get object %s: %w", key, cdnsource.ErrTooLarge)
	}
	return cdnsource.Object{Body: body, ETag: etag, Modified: aws.ToTime(out.LastModified)}, nil
}

// Put writes one object.
func (b *Bucket) Put(ctx context.Context, key string, body []byte, o cdnsource.PutOptions) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	in := &s3.PutObjectInput{
		Bucket: &b.bucket, Key: &key, Body: bytes.NewReader(body),
		ContentType: nonEmpty(o.ContentType), CacheControl: nonEmpty(o.CacheControl), ContentEncoding: nonEmpty(o.ContentEncoding),
		// Without quotes: with them Ceph 16 never finds the ETag equal.
		IfMatch: nonEmpty(o.IfMatch),
	}
	op := opPut
	if o.IfNoneMatch {
		in.IfNoneMatch = aws.String("*")
	}
	if o.IfMatch != "" {
		op = opReplace
	}
	out, err := b.client.PutObject(ctx, in)
	if err != nil {
		return "", fmt.Errorf("put object %s: %w", key, classify(err, op))
	}
	return unquote(out.ETag), nil
}

// List returns entries in the order of their keys.
func (b *Bucket) List(ctx context.Context, prefix, after string, limit int) ([]cdnsource.Listed, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	out, err := b.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: &b.bucket, Prefix: nonEmpty(prefix), StartAfter: nonEmpty(after), MaxKeys: aws.Int32(int32(min(limit, 1000))),
	})
	if err != nil {
		return nil, fmt.Errorf("list objects: %w", classify(err, opBucket))
	}
	listed := make([]cdnsource.Listed, 0, len(out.Contents))
	for _, c := range out.Contents {
		listed = append(listed, cdnsource.Listed{Key: aws.ToString(c.Key), Size: aws.ToInt64(c.Size), Modified: aws.ToTime(c.LastModified)})
	}
	slices.SortFunc(listed, func(a, b cdnsource.Listed) int { return strings.Compare(a.Key, b.Key) })
	return listed, nil
}

// Delete removes a key.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.bucket, Key: &key})
	if err == nil {
		return nil
	}
	if err = classify(err, opGet); errors.Is(err, cdnsource.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("delete object %s: %w", key, err)
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func unquote(etag *string) string { return strings.Trim(aws.ToString(etag), `"`) }
