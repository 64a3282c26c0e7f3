package db_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"imagerequests/db"
	"imagerequests/imaging"
)

// readings are the methods of the store that answer an actor and change nothing. All others must refuse an actor who may
// only read: a new one stands here or refuses.
var readings = []string{
	"CountImageRequests", "Events", "History", "ImageRequest", "ImageRequestPage", "ImageRequests", "Nodes", "PreviewImageRequest", "Refusals", "TokenPage", "Tokens", "Version", "Versions",
}

// Whatever the roles of an actor who may only read, and whatever they send, each method that writes refuses them in the same
// words, before it looks at anything else.
func TestReadOnlyActorWritesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.request(t, ann, image())
	store, actor := reflect.ValueOf(b.Store), reflect.TypeFor[imaging.Actor]()
	tried := 0
	for i := range store.NumMethod() {
		name, method := store.Type().Method(i).Name, store.Method(i)
		if method.Type().NumIn() < 2 || method.Type().In(1) != actor || name == "Statements" || slices.Contains(readings, name) {
			continue
		}
		tried++
		call := func(a imaging.Actor) error {
			args := []reflect.Value{reflect.ValueOf(t.Context()), reflect.ValueOf(a)}
			for n := 2; n < method.Type().NumIn(); n++ {
				args = append(args, reflect.Zero(method.Type().In(n)))
			}
			results := method.Call(args)
			err, _ := results[len(results)-1].Interface().(error)
			return err
		}
		b.unchanged(t, func() {
			for _, a := range []imaging.Actor{ann, reviewer, worker, admin, nobody} {
				a.ReadOnly = true
				err := call(a)
				if imaging.CodeOf(err) != imaging.Forbidden || err.Error() != "FORBIDDEN: This token may only read." {
					t.Errorf("%s answers %v, who may only read: %v", name, a.Roles, err)
				}
			}
			for _, a := range []imaging.Actor{admin, nobody} { // the same input is refused otherwise, or not at all
				if err := call(a); err != nil && strings.Contains(err.Error(), "may only read") {
					t.Errorf("%s refuses %v, who may write: %v", name, a.Roles, err)
				}
			}
		})
	}
	if tried < 9 {
		t.Errorf("only %d methods write", tried)
	}
}

// What may be read with a token that may write may be read with one that may not, and looks the same.
func TestReadOnlyActorReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.request(t, ann, image())
	for _, a := range []imaging.Actor{ann, bob, reviewer, worker, admin} {
		readOnly := a
		readOnly.ReadOnly = true
		of := func(a imaging.Actor) (all []any) {
			r, err := b.ImageRequest(t.Context(), a, v.ImageRequestID)
			all = append(all, r, imaging.CodeOf(err))
			tokens, err := b.Tokens(t.Context(), a)
			return append(all, tokens, imaging.CodeOf(err))
		}
		same(t, of(a), of(readOnly))
	}
	readOnly := ann
	readOnly.ReadOnly = true
	preview, err := b.PreviewImageRequest(t.Context(), readOnly, image())
	if err != nil || len(preview.Blockers) != 1 || preview.Blockers[0].Code != string(imaging.Forbidden) {
		t.Errorf("the preview tells %+v, %v", preview, err)
	}
}

// others use the pool, too: what the service itself writes by the clock, and a transaction that Postgres lets write nothing.
var others = []string{"ForgetKeys", "NoteUses", "atOnce"}

// Nobody writes but in inTx, which asks whether the actor may: no other function begins a transaction of the store's
// or sends a statement that writes outside one.
func TestAllWritesPassOneDoor(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, entry := range files {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declared := range file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(node ast.Node) bool {
				call, ok := node.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"NewInsert", "NewUpdate", "NewDelete", "ExecContext", "Exec", "RunInTx", "BeginTx", "Begin"}, call.Sel.Name) {
					return true
				}
				pool, ok := call.X.(*ast.SelectorExpr)
				if !ok || pool.Sel.Name != "db" {
					return true
				}
				seen++
				if f.Name.Name != "inTx" && !slices.Contains(others, f.Name.Name) {
					t.Errorf("%s: %s writes past inTx, by %s", entry.Name(), f.Name.Name, call.Sel.Name)
				}
				return true
			})
		}
	}
	if seen != 1+len(others) {
		t.Errorf("%d functions write, want inTx and %v", seen, others)
	}
}

// A token's last use is written down when it is asked for, and only then; the latest wins, whoever writes it down.
func TestLastUseOfTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	secret, made, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: []imaging.Role{imaging.Requester}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	_, unused, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "bob", Roles: []imaging.Role{imaging.Requester}})
	if err != nil {
		t.Fatal(err)
	}
	used := func() *imaging.Token {
		t.Helper()
		shown, err := b.Bearer(t.Context(), secret)
		if err != nil {
			t.Fatal(err)
		}
		return shown
	}
	b.unchanged(t, func() {
		if shown := used(); shown.LastUsedAt != nil || !shown.ReadOnly || !shown.Actor().ReadOnly {
			t.Errorf("at first use it is %+v", shown)
		}
	})
	if err := b.NoteUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := used().LastUsedAt
	if first == nil || first.Before(made.CreatedAt) {
		t.Fatalf("it was used last at %v, made at %v", first, made.CreatedAt)
	}
	execute(t, b.sql, "UPDATE tokens SET last_used_at = '2999-01-01Z' WHERE id = $1", made.ID.String()) // another copy's clock
	if err := b.NoteUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := used().LastUsedAt; last.Year() != 2999 {
		t.Errorf("an earlier use has overwritten a later one: %v", last)
	}
	all, err := b.Tokens(t.Context(), admin)
	if err != nil {
		t.Fatal(err)
	}
	if all[1].ID != unused.ID || all[1].LastUsedAt != nil {
		t.Errorf("a token that nobody used: %+v", all[1])
	}
	// what cannot be written is kept
	used()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.NoteUses(gone); imaging.CodeOf(err) != imaging.Unavailable {
		t.Errorf("without the database: %v", err)
	}
	execute(t, b.sql, "UPDATE tokens SET last_used_at = NULL")
	if err := b.NoteUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	if used().LastUsedAt == nil {
		t.Error("what could not be written was forgotten")
	}
}

// Pages of tokens are those of the whole list, in both directions, and for admins alone.
func TestTokenPage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var want []string
	for range 7 {
		_, made, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: imaging.Roles})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, made.ID.String())
	}
	for _, fromEnd := range []bool{false, true} {
		var got []string
		slice := imaging.Slice{First: new(3)}
		if fromEnd {
			slice = imaging.Slice{Last: new(3)}
		}
		for more := true; more; {
			page, err := b.TokenPage(t.Context(), admin, slice)
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, e := range page.Nodes() {
				ids = append(ids, e.ID.String())
			}
			if fromEnd {
				got = append(ids, got...)
				slice.Before = page.PageInfo.StartCursor()
				more, err = page.PageInfo.HasPreviousPage(t.Context())
			} else {
				got = append(got, ids...)
				slice.After = page.PageInfo.EndCursor()
				more, err = page.PageInfo.HasNextPage(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			if n, err := page.TotalCount(t.Context()); err != nil || n != len(want) {
				t.Errorf("%d tokens in all, %v", n, err)
			}
		}
		same(t, want, got)
	}
	for a, code := range map[string]imaging.Code{"": imaging.Unauthenticated, "REVIEWER": imaging.Forbidden} {
		actor := imaging.Actor{Username: strings.ToLower(a), Roles: []imaging.Role{imaging.Role(a)}}
		if _, err := b.TokenPage(t.Context(), actor, imaging.Slice{}); imaging.CodeOf(err) != code {
			t.Errorf("%q: %v", a, err)
		}
	}
	_, err := b.TokenPage(t.Context(), admin, imaging.Slice{First: new(0), After: new(db.StreamCursor(1))})
	refused(t, err, invalid("first", "after")...)
}
