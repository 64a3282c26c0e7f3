package safedriver

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// alone is one connection of a pool, with a table of its own.
func alone(t *testing.T) *sql.Conn {
	t.Helper()
	c, err := safe(t, config()).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := c.ExecContext(t.Context(), "CREATE TEMPORARY TABLE copied (id integer PRIMARY KEY, x text)"); err != nil {
		t.Fatal(err)
	}
	return c
}

func goesOn(t *testing.T, c *sql.Conn) {
	t.Helper()
	var n int
	if err := c.QueryRowContext(t.Context(), "SELECT 42").Scan(&n); err != nil || n != 42 {
		t.Errorf("after that the connection answers %d, %v", n, err)
	}
}

// What is copied in and out again is the same, whatever its size and its letters, and the connection goes on.
func TestCopy(t *testing.T) {
	t.Parallel()
	c := alone(t)
	var in bytes.Buffer
	for id := range 20_000 {
		fmt.Fprintf(&in, "%d\t%s\n", id+1, []string{`\N`, "", `a\tb\\n\nc`, "ünïcödé 漢字", strings.Repeat("long ", 200)}[id%5])
	}
	want := bytes.Clone(in.Bytes())
	if err := CopyFrom(t.Context(), c, &in, "COPY copied FROM STDIN"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		var out bytes.Buffer
		if err := CopyTo(t.Context(), c, &out, "COPY (SELECT * FROM copied ORDER BY id) TO STDOUT"); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(want, out.Bytes()) {
			t.Errorf("%d bytes went in, %d came out", len(want), out.Len())
		}
		goesOn(t, c)
	}
	if err := CopyFrom(t.Context(), c, strings.NewReader(""), "COPY copied FROM STDIN"); err != nil {
		t.Errorf("nothing at all: %v", err)
	}
	goesOn(t, c)
}

// A refusal of the server, before or in the middle, is told with its code and leaves the connection as it is; in a
// transaction nothing of it is stored.
func TestCopyRefused(t *testing.T) {
	t.Parallel()
	c := alone(t)
	for query, state := range map[string]string{"COPY nothing FROM STDIN": "42P01", "COPY copied (no) FROM STDIN": "42703", "COPY": "42601"} {
		if err := CopyFrom(t.Context(), c, strings.NewReader("1\ta\n"), query); SQLState(err) != state {
			t.Errorf("%s: %v", query, err)
		}
		goesOn(t, c)
	}
	long := strings.Repeat("1\ta\n", 100_000) // the same key again and again
	if err := CopyFrom(t.Context(), c, strings.NewReader(long), "COPY copied FROM STDIN"); SQLState(err) != "23505" {
		t.Errorf("a key twice: %v", err)
	}
	goesOn(t, c)
	if err := CopyTo(t.Context(), c, io.Discard, "COPY (SELECT 1 / (n - 3000) FROM generate_series(1, 5000) AS n) TO STDOUT"); SQLState(err) != "22012" {
		t.Errorf("an error in the middle: %v", err)
	}
	goesOn(t, c)
	if err := CopyTo(t.Context(), c, io.Discard, "COPY \x00 TO STDOUT"); !errors.Is(err, ErrText) {
		t.Errorf("a NUL: %v", err)
	}
	goesOn(t, c)
}

// An error of the writer, of the reader, or the end of the context ends the connection, and is what is told.
func TestCopyBrokenOff(t *testing.T) {
	t.Parallel()
	full := errors.New("full")
	const endless = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000000)) TO STDOUT"
	gone := func(c *sql.Conn) {
		t.Helper()
		if _, err := c.ExecContext(context.Background(), "SELECT 1"); err == nil {
			t.Error("the connection is still there")
		}
	}
	c := alone(t)
	if err := CopyTo(t.Context(), c, writer(func([]byte) (int, error) { return 0, full }), endless); !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	gone(c)

	c = alone(t)
	ctx, cancel := context.WithCancel(t.Context())
	begun := time.Now()
	err := CopyTo(ctx, c, writer(func(b []byte) (int, error) { cancel(); return len(b), nil }), endless)
	if !errors.Is(err, context.Canceled) || time.Since(begun) > 30*time.Second {
		t.Errorf("a caller who leaves: %v after %s", err, time.Since(begun))
	}
	gone(c)

	c = alone(t)
	if err := CopyFrom(t.Context(), c, io.MultiReader(strings.NewReader("1\ta\n"), failing{full}), "COPY copied FROM STDIN"); !errors.Is(err, full) {
		t.Errorf("a reader that fails: %v", err)
	}
	gone(c)

	other, err := bare(t, config()).Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := CopyTo(t.Context(), other, io.Discard, "COPY (SELECT 1) TO STDOUT"); err == nil {
		t.Error("a connection of another driver will do")
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
