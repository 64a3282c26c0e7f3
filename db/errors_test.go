package db_test

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/uptrace/bun"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// raise makes Postgres answer with an SQLSTATE.
func raise(state string) string {
	return "DO $$ BEGIN RAISE EXCEPTION 'the raw words' USING ERRCODE = '" + state + "'; END $$"
}

// What Postgres says becomes a code by its SQLSTATE, and its own words are for the log alone.
func TestTranslateStates(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	for state, want := range map[string]imaging.Code{
		"55P03": imaging.Unavailable, "57014": imaging.Unavailable, "57P01": imaging.Unavailable, "57P03": imaging.Unavailable,
		"53100": imaging.Unavailable, "53300": imaging.Unavailable, "08006": imaging.Unavailable,
		"40001": imaging.Unavailable, "40P01": imaging.Unavailable,
		"22001": imaging.Invalid, "22021": imaging.Invalid, "22P05": imaging.Invalid, "23502": imaging.Invalid, "23503": imaging.Invalid,
		"23514": imaging.Invalid, "23505": imaging.Invalid,
		"25P02": imaging.Internal, "42601": imaging.Internal, "42P01": imaging.Internal, "28000": imaging.Internal, "23000": imaging.Internal, "XX000": imaging.Internal,
	} {
		err := s.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, raise(state))
			return fmt.Errorf("in a use case: %w", err)
		})
		refused(t, err, refusal{want, ""})
		for _, e := range imaging.All(err) {
			if strings.Contains(e.Message, "raw") || !strings.Contains(err.Error(), "the raw words") || (e.RetryAfter > 0) != (want == imaging.Unavailable) {
				t.Errorf("%s: %+v", state, e)
			}
		}
	}
}

// Each constraint that callers can meet has words of its own.
func TestTranslateConstraints(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	for constraint, field := range map[string]string{
		"versions_one_open_per_instance": "instance", "versions_label_is_unique": "version", "versions_alias_is_unique": "alias", "providers_name_key": "name",
	} {
		err := s.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "DO $$ BEGIN RAISE unique_violation USING CONSTRAINT = '"+constraint+"'; END $$")
			return err
		})
		refused(t, err, refusal{imaging.Conflict, field})
		// and the schema has a constraint of that name
		same(t, 1, one[int](t, dbtest.SQL(t, dbtest.Config(t)), "SELECT count(*) FROM pg_class WHERE relname = $1", constraint))
	}
}

// What is lost on the way is UNAVAILABLE; what nobody expected is INTERNAL; what is ours stays as it is.
func TestTranslateOthers(t *testing.T) {
	t.Parallel()
	s := dbtest.Store(t)
	for _, c := range []struct {
		err  error
		want imaging.Code
	}{
		{context.Canceled, imaging.Unavailable},
		{context.DeadlineExceeded, imaging.Unavailable},
		{os.ErrDeadlineExceeded, imaging.Unavailable},
		{driver.ErrBadConn, imaging.Unavailable},
		{sql.ErrConnDone, imaging.Unavailable},
		{sql.ErrTxDone, imaging.Unavailable},
		{io.EOF, imaging.Unavailable},
		{io.ErrUnexpectedEOF, imaging.Unavailable},
		{net.ErrClosed, imaging.Unavailable},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, imaging.Unavailable},
		{safedriver.ErrCommitUnknown, imaging.Unavailable},
		{safedriver.ErrMore, imaging.Unavailable},
		{safedriver.ErrAborted, imaging.Internal},
		{safedriver.ErrText, imaging.Internal},
		{errors.New("the raw words"), imaging.Internal},
		{sql.ErrNoRows, imaging.NotFound},
		{imaging.ErrForbidden(), imaging.Forbidden},
		{imaging.Problems{imaging.Errorf(imaging.Invalid, "x")}, imaging.Invalid},
	} {
		err := s.Translate(fmt.Errorf("wrapped: %w", c.err))
		if got := imaging.CodeOf(err); got != c.want {
			t.Errorf("%v: %s, want %s", c.err, got, c.want)
		}
		if !errors.Is(err, c.err) && c.want != imaging.Invalid {
			t.Errorf("%v has lost its cause %v", err, c.err)
		}
		if strings.Contains(imaging.All(err)[0].Message, "raw") {
			t.Errorf("%v tells what is for the log", err)
		}
	}
	if s.Translate(nil) != nil {
		t.Error("nil became an error")
	}
}

// What validation let through although the database refuses it is a hole, and the log says so.
func TestHolesAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s, err := db.Open(dbtest.Config(t), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = s.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO providers VALUES (0, 'x', true, true)")
		return err
	})
	refused(t, err, refusal{imaging.Invalid, ""})
	if !strings.Contains(log.String(), "providers_id_check") {
		t.Errorf("the log: %q", log.String())
	}
}

// For real: a lock that is not had in time, a statement that takes too long, a call that is given up.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	cfg.ConnParams["lock_timeout"] = "50ms"
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	execute(t, b.sql, "INSERT INTO providers VALUES (1, 'one', true, false)")
	id := b.request(t, ann, image()).ImageRequestID
	edit := func(ctx context.Context) error {
		_, err := b.EditImageRequest(ctx, ann, imaging.EditImageRequestInput{ImageRequest: id, Name: new("x")})
		return err
	}
	holder, err := b.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Exec("SELECT FROM image_requests FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	for state, err := range map[string]error{
		"55P03": edit(t.Context()),
		"57014": b.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
			_, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = '50ms'; SELECT FROM image_requests FOR UPDATE")
			return err
		}),
	} {
		refused(t, err, refusal{imaging.Unavailable, ""})
		same(t, state, safedriver.SQLState(err))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	refused(t, edit(cancelled), refusal{imaging.Unavailable, ""})
	late, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	refused(t, edit(late), refusal{imaging.Unavailable, ""})
	if err := holder.Rollback(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "an edit comes to pass", func() bool { return edit(t.Context()) == nil }) // the last one's backend may have the row for a moment
}

// A database that is not there, or takes the call and says nothing, is UNAVAILABLE for every use case.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("unix", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	for _, addr := range []string{t.TempDir() + "/nothing", silent.Addr().String()} {
		s := dbtest.Open(t, safedriver.Config{Network: "unix", Addr: addr, User: "x", DialTimeout: 20 * time.Millisecond})
		ctx, want := t.Context(), refusal{imaging.Unavailable, ""}
		_, err := s.ImageRequest(ctx, ann, db.DemoRequest)
		refused(t, err, want)
		_, err = s.Versions(ctx, ann, imaging.Slice{}, nil, nil)
		refused(t, err, want)
		_, err = s.CountImageRequests(ctx, ann, nil)
		refused(t, err, want)
		_, err = s.RequestImage(ctx, ann, image())
		refused(t, err, want)
		_, err = s.Bearer(ctx, "secret")
		refused(t, err, want)
		_, err = s.Providers(ctx)
		refused(t, err, want)
		_, err = s.ForgetKeys(ctx)
		refused(t, err, want)
		refused(t, s.LoadDemo(ctx), want)
	}
}
