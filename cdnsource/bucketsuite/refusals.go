package bucketsuite

import (
	"errors"
	"testing"

	"github.com/planwarm/planwarm/cdnsource"
)

// Refusing opens buckets that a server must refuse.
type Refusing struct {
	UnknownKey  cdnsource.Bucket // an access key that nobody has
	WrongSecret cdnsource.Bucket // a known access key with another secret
	NoBucket    cdnsource.Bucket // the right credentials, a bucket that is not there
}

// RunRefusals tests that wrong credentials and an absent bucket are told as
// what they are: never as an absent object, for which a push would be written
// over what is there, or a graph be taken for new.
func RunRefusals(t *testing.T, r Refusing) {
	for _, test := range []struct {
		name string
		b    cdnsource.Bucket
		want error
	}{
		{"UnknownKey", r.UnknownKey, cdnsource.ErrDenied},
		{"WrongSecret", r.WrongSecret, cdnsource.ErrDenied},
		{"NoBucket", r.NoBucket, cdnsource.ErrNoBucket},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := deadline(t)
			_, err := test.b.Get(ctx, "default/storefront/pins.json", cdnsource.GetOptions{Limit: 10})
			want(t, "get", err, test.want)
			if errors.Is(err, cdnsource.ErrNotFound) {
				t.Errorf("get: %v is told as an absent object", err)
			}
			_, err = test.b.Put(ctx, "x", []byte("x"), cdnsource.PutOptions{IfNoneMatch: true})
			want(t, "create", err, test.want)
			_, err = test.b.Put(ctx, "x", []byte("x"), cdnsource.PutOptions{IfMatch: "d41d8cd98f00b204e9800998ecf8427e"})
			want(t, "replace", err, test.want)
			_, err = test.b.List(ctx, "", "", 1)
			want(t, "list", err, test.want)
			want(t, "delete", test.b.Delete(ctx, "x"), test.want)
			store, err := newStore(test.b, "", nil)
			if err != nil {
				t.Fatalf("new store: %v", err)
			}
			want(t, "probe", store.Probe(ctx), test.want)
			_, err = store.UpdatePins(ctx, graph, Pin("A"))
			want(t, "update of pins", err, test.want)
			_, err = store.Exists(ctx, graph)
			want(t, "look for a graph", err, test.want)
		})
	}
}
