package telemetry

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"reflect"
	"testing"
	"testing/iotest"
	"time"

	"github.com/cespare/xxhash/v2"
)

// filled returns a table that has something of everything.
func filled(t testing.TB) *Table {
	t.Helper()
	table := newTable(t, func(o *Options) { o.Instance, o.OwnClient = "one", "planwarm" })
	for i, e := range traffic(1) {
		e(start.Add(time.Duration(i)*20*time.Minute), table)
	}
	p := exponentialPoint([]float64{0, 1, 2, 300}, 2)
	p.Instance, p.Op.Hash = "b", "coarse"
	table.Point(start.Add(100*time.Hour), p)
	table.RecordCost(start, "1", time.Millisecond)
	return table
}

func TestCheckpointRoundTrip(t *testing.T) {
	table := filled(t)
	now := start.Add(150 * time.Hour)
	again := reread(t, table)
	if got, want := again.Usages(now, DefaultWindow), table.Usages(now, DefaultWindow); len(want) != 6 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, want := again.Hottest(now, 10), table.Hottest(now, 10); len(want) == 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	checkAccounts(t, again)
	var first, second bytes.Buffer
	for table, b := range map[*Table]*bytes.Buffer{table: &first, again: &second} {
		if n, err := table.WriteTo(b); err != nil || n != int64(b.Len()) {
			t.Fatal(n, err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same table gives other bytes")
	}
}

var update = flag.Bool("update", false, "write the golden files")

// TestGoldenCheckpoint holds the format: what an older planwarm wrote is read.
func TestGoldenCheckpoint(t *testing.T) {
	const file = "testdata/checkpoint-v3.bin"
	table := filled(t)
	if *update {
		var b bytes.Buffer
		if _, err := table.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), golden) {
		t.Error("the table is written in other bytes")
	}
	now := start.Add(150 * time.Hour)
	want := table.Usages(now, DefaultWindow)
	for _, version := range []string{"v1", "v2", "v3"} {
		written, err := os.ReadFile("testdata/checkpoint-" + version + ".bin")
		if err != nil {
			t.Fatal(err)
		}
		old, err := ReadTable(bytes.NewReader(written), table.options)
		if err != nil {
			t.Fatalf("%s: %v", version, err)
		}
		if got := old.Usages(now, DefaultWindow); len(want) == 0 || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", version, got, want)
		}
	}
}

func TestSameBodiesAfterRestore(t *testing.T) {
	table := newTable(t, nil)
	events := traffic(2)
	for _, e := range events {
		e(start, table)
	}
	want := table.Usages(start, DefaultWindow)
	again := reread(t, table)
	for _, e := range events {
		e(start.Add(30*time.Second), again)
	}
	if got := again.Usages(start, DefaultWindow); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	s := again.Stats()
	if s.DuplicateSpans != s.Spans || s.DuplicatePoints != s.Points || s.DuplicateBodies == 0 || s.Requests != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRestoreIntoSmallerLimits(t *testing.T) {
	table := newTable(t, nil)
	for i := range 50 {
		for n := range i + 1 {
			table.Span(start, spanOf(uint64(i*100+n+1), fmt.Sprint(i), time.Millisecond))
		}
		table.Text(start, Operation{Hash: fmt.Sprint(i)}, "{ field }")
	}
	var b bytes.Buffer
	if _, err := table.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	small, err := ReadTable(&b, Options{Canonical: canonical, MaxOperations: 10, MaxText: 45, MaxHistograms: 100_000, MaxIdentities: 20, MaxStreams: 5})
	if err != nil {
		t.Fatal(err)
	}
	s := small.Stats()
	if s.Operations != 10 || s.TextBytes != 45 || s.Identities > 20 || small.operations["49"] == nil {
		t.Errorf("%+v", s)
	}
	checkAccounts(t, small)
}

// sealed gives a body the magic and the checksum.
func sealed(body []byte) []byte {
	b := append([]byte(checkpointMagic), body...)
	return binary.LittleEndian.AppendUint64(b, xxhash.Sum64(b))
}

func TestDamagedCheckpointChangesNothing(t *testing.T) {
	table := filled(t)
	want := table.Usages(start.Add(100*time.Hour), DefaultWindow)
	var b bytes.Buffer
	if _, err := filled(t).WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	body := whole[len(checkpointMagic) : len(whole)-8]
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	damaged := map[string][]byte{
		"empty": nil, "not a checkpoint": []byte("hello, world, this is no checkpoint"), "flipped": flipped,
		"version":    sealed(append([]byte{checkpointVersion + 1}, body[1:]...)),
		"version 0":  sealed(append([]byte{0}, body[1:]...)),
		"no version": sealed(nil),
		"longer":     sealed(append(bytes.Clone(body), 0)),
	}
	for n := 0; n < len(body); n += 1 + len(body)/150 {
		damaged[fmt.Sprint("cut at ", n)] = sealed(body[:n])
	}
	for name, b := range damaged {
		if err := table.Restore(bytes.NewReader(b)); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := table.Restore(iotest.ErrReader(io.ErrUnexpectedEOF)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("reader fails: %v", err)
	}
	if got := table.Usages(start.Add(100*time.Hour), DefaultWindow); len(want) == 0 || !reflect.DeepEqual(got, want) {
		t.Error("a damaged checkpoint changed the table")
	}
	if _, err := ReadTable(bytes.NewReader(flipped), Options{Canonical: canonical}); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("read: %v", err)
	}
}

func TestWriteErrorIsTold(t *testing.T) {
	if _, err := filled(t).WriteTo(failing{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func FuzzRestore(f *testing.F) {
	var b bytes.Buffer
	if _, err := filled(f).WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes()[len(checkpointMagic) : b.Len()-8])
	small := newTable(f, nil)
	small.Span(start, spanOf(1, "7", time.Millisecond))
	p := explicitPoint([]float64{3})
	p.Temporality, p.Time = Cumulative, 1
	small.Point(start, p)
	b.Reset()
	if _, err := small.WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes()[len(checkpointMagic) : b.Len()-8])
	f.Fuzz(func(t *testing.T, body []byte) {
		options := Options{Canonical: canonical, MaxOperations: 20, MaxText: 1000, MaxHistograms: 50_000, MaxIdentities: 50, MaxStreams: 20}
		table, err := ReadTable(bytes.NewReader(sealed(body)), options)
		if err != nil {
			if !errors.Is(err, ErrCheckpoint) {
				t.Fatal(err)
			}
			return
		}
		// What was taken in is whole: it can be read, added to and written.
		checkAccounts(t, table)
		table.Usages(start, DefaultWindow)
		for i, e := range traffic(1) {
			e(start.Add(time.Duration(i)*time.Hour), table)
		}
		table.Hottest(start, 5)
		checkAccounts(t, table)
		again := reread(t, table)
		if got, want := again.Usages(start, DefaultWindow), table.Usages(start, DefaultWindow); !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
		s := table.Stats()
		if s.Operations > 20 || s.TextBytes > 1000 || s.HistogramBytes > 50_000 && s.Operations > 1 || s.Identities > 150 || s.Streams > 20 {
			t.Fatalf("%+v", s)
		}
	})
}
