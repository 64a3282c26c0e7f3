package db_test

import (
	"context"
	"database/sql"
	"os"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// The actors that most tests need.
var (
	nobody   = imaging.Actor{}
	ann      = imaging.Actor{Username: "ann", Roles: []imaging.Role{imaging.Requester}}
	bob      = imaging.Actor{Username: "bob", Roles: []imaging.Role{imaging.Requester}}
	reviewer = imaging.Actor{Username: "reviewer", Roles: []imaging.Role{imaging.Reviewer}}
	worker   = imaging.Actor{Username: "worker", Roles: []imaging.Role{imaging.Worker}}
	admin    = imaging.Actor{Username: "admin", Roles: []imaging.Role{imaging.Admin}}
)

// bench is a store on a database of its own with three providers: 1 takes requests, 2 approves by itself, 3 is inactive.
type bench struct {
	*db.Store
	sql *sql.DB
}

func newBench(t testing.TB) bench {
	t.Helper()
	return benchOf(t, dbtest.Config(t))
}

// benchOf is a bench whose sessions are set as cfg says.
func benchOf(t testing.TB, cfg safedriver.Config) bench {
	t.Helper()
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	for _, in := range []imaging.SaveProviderInput{
		{ID: 1, Name: new("one")},
		{ID: 2, Name: new("two"), AutoApprove: new(true)},
		{ID: 3, Name: new("three"), Active: new(false)},
	} {
		if _, err := b.SaveProvider(t.Context(), admin, in); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// image is an input that has everything, for an instance of its own.
func image() imaging.RequestImageInput {
	return imaging.RequestImageInput{
		Name: "Ubuntu", Description: "for all", Tags: []string{"a", "b"}, Visibility: imaging.Private,
		Work: imaging.Work{
			Instance: uuid.New(), Provider: 1, Software: "R", Sys: "/etc", Exclude: "/home", IPAddress: new("10.0.0.1"), ChangeLog: "first",
		},
	}
}

// another is an input for one more version of the request.
func another(r uuid.UUID) imaging.RequestVersionInput {
	return imaging.RequestVersionInput{ImageRequest: r, Work: image().Work}
}

// request asks for an image as the actor.
func (b bench) request(t testing.TB, a imaging.Actor, in imaging.RequestImageInput) *imaging.Version {
	t.Helper()
	v, err := b.RequestImage(t.Context(), a, in)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// one scans a single value.
func one[T any](t testing.TB, pool *sql.DB, query string, args ...any) (v T) {
	t.Helper()
	if err := pool.QueryRowContext(t.Context(), query, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return v
}

func execute(t testing.TB, pool *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := pool.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// content is all rows of all tables, to see that nothing was stored.
func (b bench) content(t testing.TB) map[string]string {
	t.Helper()
	rows := map[string]string{}
	for _, table := range []string{"providers", "image_requests", "versions", "events", "idempotency_keys", "tokens"} {
		rows[table] = one[string](t, b.sql, "SELECT coalesce(string_agg(x::text, E'\n' ORDER BY x::text), '') FROM "+table+" x")
	}
	return rows
}

// unchanged runs f and fails if it leaves a trace in the database.
func (b bench) unchanged(t testing.TB, f func()) {
	t.Helper()
	before := b.content(t)
	f()
	if diff := cmp.Diff(before, b.content(t)); diff != "" {
		t.Errorf("something was stored (-before +after):\n%s", diff)
	}
}

// refusal is what a client learns of an error.
type refusal struct {
	Code  imaging.Code
	Field string
}

// refused fails unless err is made of exactly these refusals, in this order.
func refused(t testing.TB, err error, want ...refusal) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %v", want)
		return
	}
	var got []refusal
	for _, e := range imaging.All(err) {
		got = append(got, refusal{e.Code, e.Field})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s\nof %v", diff, err)
	}
}

// same fails unless got is want.
func same(t testing.TB, want, got any) {
	t.Helper()
	if reflect.DeepEqual(want, got) { // much faster than cmp, and at least as strict
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// all calls f so many times at once and returns what each call answered.
func all[T any](ctx context.Context, times int, f func(ctx context.Context, i int) (T, error)) ([]T, []error) {
	values, errs := make([]T, times), make([]error, times)
	start, done := make(chan struct{}), make(chan struct{})
	for i := range times {
		go func() {
			<-start
			values[i], errs[i] = f(ctx, i)
			done <- struct{}{}
		}()
	}
	close(start)
	for range times {
		<-done
	}
	return values, errs
}

// codes counts the outcomes by code; "" is success.
func codes(errs []error) map[imaging.Code]int {
	count := map[imaging.Code]int{}
	for _, err := range errs {
		count[imaging.CodeOf(err)]++
	}
	return count
}
