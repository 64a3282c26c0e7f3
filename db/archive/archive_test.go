package archive

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rows writes a text as a table's rows, in two pieces.
func rows(text string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err1 := io.WriteString(w, text[:len(text)/2])
		_, err2 := io.WriteString(w, text[len(text)/2:])
		return errors.Join(err1, err2)
	}
}

func example(t testing.TB) (file []byte, m *Manifest) {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b)
	for _, table := range []struct{ name, text string }{{"one", "1\ta\n2\tb\\n\n"}, {"none", ""}, {"many", strings.Repeat("7\t{}\n", 1000)}} {
		if err := w.Add(Table{Name: table.name, Columns: []string{"id", "x"}, Key: []string{"id"}}, rows(table.text)); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Close(Manifest{
		Program: "p", Postgres: "15", TakenAt: time.Unix(1, 0).UTC(), Schema: []Step{{1, "first", "00"}}, Sequences: []Sequence{{"s", 7, true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

func open(file []byte) (*Archive, error) { return Open(bytes.NewReader(file), int64(len(file))) }

// What was written is read back, and other tools read it, too.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	file, written := example(t)
	a, err := open(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*written, a.Manifest); diff != "" {
		t.Errorf("manifest (-written +read):\n%s", diff)
	}
	if got := a.Manifest.Rows(); got != 1002 {
		t.Errorf("%d rows", got)
	}
	r, err := a.Rows("one")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r); err != nil || string(text) != "1\ta\n2\tb\\n\n" {
		t.Errorf("%q, %v", text, err)
	}
	z, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil || z.Comment != fmt.Sprintf("%x", sha256.Sum256(file[:len(file)-64])) {
		t.Errorf("the comment is %q, %v", z.Comment, err)
	}
}

// Whichever byte is changed, and wherever the file is cut off or goes on, it is refused.
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	file, _ := example(t)
	refused := func(what string, at int, damaged []byte) {
		t.Helper()
		if _, err := open(damaged); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s at %d of %d: %v", what, at, len(file), err)
		}
	}
	for at := range file {
		for _, bit := range []byte{1, 0x80} {
			damaged := bytes.Clone(file)
			damaged[at] ^= bit
			refused("a flipped bit", at, damaged)
		}
		refused("cut off", at, file[:at])
		refused("a byte left out", at, append(bytes.Clone(file[:at]), file[at+1:]...))
	}
	refused("a byte more", len(file), append(bytes.Clone(file), 0))
	refused("twice", len(file), append(bytes.Clone(file), file...))
}

// seal gives a file that was tampered with a checksum that fits.
func seal(file []byte) []byte {
	return fmt.Appendf(bytes.Clone(file[:len(file)-64]), "%x", sha256.Sum256(file[:len(file)-64]))
}

// forge writes a ZIP of these entries, in turn name and text, with a seal that fits.
func forge(t testing.TB, entries ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.Create(entries[i])
		if err == nil {
			_, err = io.WriteString(w, entries[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.SetComment(strings.Repeat("-", sealLength)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return seal(b.Bytes())
}

// An archive whose seal fits is refused all the same if its parts do not fit each other.
func TestPartsThatDoNotFit(t *testing.T) {
	t.Parallel()
	manifest := func(change ...string) string {
		counter := NewCounter()
		_, _ = counter.Write([]byte("1\n"))
		return strings.NewReplacer(change...).Replace(fmt.Sprintf(`{"format":1,"program":"","postgres":"","takenAt":"2026-01-01T00:00:00Z",
			"schema":[{"version":1,"name":"first","checksum":"00"}],
			"tables":[{"name":"one","columns":["id"],"key":["id"],"rows":1,"bytes":2,"sha256":%q}],"sequences":[]}`, counter.Digest().SHA256))
	}
	if _, err := open(forge(t, "tables/one", "1\n", manifestName, manifest())); err != nil {
		t.Fatalf("the forgery that fits: %v", err)
	}
	for name, file := range map[string][]byte{
		"no manifest":          forge(t, "tables/one", "1\n"),
		"no table":             forge(t, manifestName, manifest()),
		"a table more":         forge(t, "tables/one", "1\n", "tables/two", "", manifestName, manifest()),
		"an entry twice":       forge(t, "tables/one", "1\n", "tables/one", "1\n", manifestName, manifest()),
		"other rows":           forge(t, "tables/one", "2\n", manifestName, manifest()),
		"another number":       forge(t, "tables/one", "1\n", manifestName, manifest(`"rows":1`, `"rows":2`)),
		"another length":       forge(t, "tables/one", "1\n", manifestName, manifest(`"bytes":2`, `"bytes":3`)),
		"an unknown member":    forge(t, "tables/one", "1\n", manifestName, manifest(`"program"`, `"programme"`)),
		"no columns":           forge(t, "tables/one", "1\n", manifestName, manifest(`"columns":["id"]`, `"columns":[]`)),
		"no schema":            forge(t, "tables/one", "1\n", manifestName, manifest(`{"version":1,"name":"first","checksum":"00"}`, ``)),
		"no JSON":              forge(t, "tables/one", "1\n", manifestName, manifest()[1:]),
		"an empty ZIP":         forge(t),
		"no ZIP":               seal([]byte("PK\x03\x04" + strings.Repeat("x", 200))),
		"nothing":              nil,
		"not even that":        []byte("x"),
		"the output of a tool": []byte("--\n-- PostgreSQL database dump\n--\n" + strings.Repeat("-- \n", 100)),
	} {
		if _, err := open(file); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := open(forge(t, "tables/one", "1\n", manifestName, manifest(`"format":1`, `"format":2,"new":true`))); !errors.Is(err, ErrFormat) {
		t.Errorf("a later format: %v", err)
	}
}

// The writer's errors come back: a full disk is no success.
func TestWriterFails(t *testing.T) {
	t.Parallel()
	file, _ := example(t)
	for room := range len(file) {
		w := NewWriter(&limited{room: room})
		err := w.Add(Table{Name: "many", Columns: []string{"id"}, Key: []string{"id"}}, rows(strings.Repeat("7\t{}\n", 1000)))
		if err == nil {
			_, err = w.Close(Manifest{})
		}
		if err == nil {
			break // there was room enough
		}
		if !errors.Is(err, errFull) {
			t.Fatalf("with room for %d bytes: %v", room, err)
		}
	}
	if err := NewWriter(io.Discard).Add(Table{Name: "x"}, func(io.Writer) error { return errFull }); !errors.Is(err, errFull) {
		t.Errorf("rows that fail: %v", err)
	}
}

var errFull = errors.New("full")

type limited struct{ room int }

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.room {
		return 0, errFull
	}
	l.room -= len(b)
	return len(b), nil
}
