package db_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"imagerequests/db"
	"imagerequests/imaging"
)

// A field that is added to a struct is read, too.
func TestEachFieldHasItsColumn(t *testing.T) {
	t.Parallel()
	s := newBench(t).Store
	requests, versions, providers := db.ColumnNames()
	for _, test := range []struct {
		fields  []db.Field
		columns []string
	}{{db.Fields[imaging.ImageRequest](s), requests}, {db.Fields[imaging.Version](s), versions}, {db.Fields[imaging.Provider](s), providers}} {
		var want, got []string
		for _, f := range test.fields {
			want = append(want, f.Column)
		}
		for _, c := range test.columns {
			got = append(got, strings.TrimPrefix(c, "."))
		}
		slices.Sort(want)
		slices.Sort(got)
		same(t, want, got)
	}
}

// A read of one column fills its field as a read of all does, and no other but those that the rules need.
func TestReadOfOneColumn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5, 30)
	for _, r := range w.requests {
		v := pick(w, r.Versions)
		whole, err := w.Version(t.Context(), admin, v.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range db.Fields[imaging.ImageRequest](w.Store) {
			narrow, err := w.Only(&db.Columns{ImageRequest: []string{f.Column}}).ImageRequest(t.Context(), admin, r.ID)
			if err != nil {
				t.Fatal(err)
			}
			onlyFilled(t, w.Store, whole.ImageRequest, narrow, f, needed(f, []string{"created_by"}, "id")...)
			if narrow.Versions != nil {
				t.Error("versions nobody asked for")
			}
		}
		for _, f := range db.Fields[imaging.Version](w.Store) {
			narrow, err := w.Only(&db.Columns{Version: []string{f.Column}}).Version(t.Context(), admin, v.ID)
			if err != nil {
				t.Fatal(err)
			}
			onlyFilled(t, w.Store, whole, narrow, f, needed(f, []string{"status", "provider_id"}, "id", "image_request_id", "ordinal")...)
			same(t, &imaging.Provider{ID: narrow.ProviderID}, narrow.Provider)
		}
		narrow, err := w.Only(&db.Columns{Provider: true}).Version(t.Context(), admin, v.ID)
		if err != nil {
			t.Fatal(err)
		}
		same(t, whole.Provider, narrow.Provider)
	}
}

func onlyFilled[T any](t *testing.T, s *db.Store, whole, narrow *T, asked db.Field, needed ...string) {
	t.Helper()
	for _, f := range db.Fields[T](s) {
		want, got := reflect.ValueOf(whole).Elem().FieldByIndex(f.Index), reflect.ValueOf(narrow).Elem().FieldByIndex(f.Index)
		switch {
		case f.Column == asked.Column || slices.Contains(needed, f.Column):
			same(t, want.Interface(), got.Interface())
		case !got.IsZero():
			t.Errorf("asked for %s, %s is filled", asked.Column, f.Column)
		}
	}
}

// needed are the columns that are read beside the field's: always, and where something may have to be taken out.
func needed(f db.Field, where []string, always ...string) []string {
	if slices.Contains(db.Guarded, f.Column) {
		return append(always, where...)
	}
	return always
}

// Of each column by itself everybody reads what they read of it beside all others.
func TestReadOfOneColumnIsRedacted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 6, 22)
	for _, a := range actors() {
		want := ordered(w.shown(a), imaging.NewestFirst, requestKey)
		read := func(c *db.Columns) []*imaging.ImageRequest {
			page, err := w.Only(c).ImageRequests(t.Context(), a, imaging.Slice{First: new(100)}, everything, nil)
			if err != nil {
				t.Fatal(err)
			}
			if rows := page.Nodes(); len(rows) == len(want) {
				return rows
			}
			t.Fatalf("%v sees %d requests, want %d", a, len(page.Edges), len(want))
			return nil
		}
		for _, f := range db.Fields[imaging.ImageRequest](w.Store) {
			got := read(&db.Columns{ImageRequest: []string{f.Column}})
			for i, r := range want {
				same(t, fieldOf(r, f), fieldOf(got[i], f))
			}
		}
		for _, f := range db.Fields[imaging.Version](w.Store) {
			got := read(&db.Columns{Version: []string{f.Column}})
			for i, r := range want {
				for j, v := range r.Versions {
					same(t, fieldOf(v, f), fieldOf(got[i].Versions[j], f))
				}
			}
		}
	}
}

func fieldOf[T any](of *T, f db.Field) any {
	return reflect.ValueOf(of).Elem().FieldByIndex(f.Index).Interface()
}

// Whatever is read of rows, and however they are found, their cursors are the same.
func TestCursorsOfNarrowReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 7, 30)
	wide, narrow := w.Store, w.Only(&db.Columns{ImageRequest: []string{"icon"}, Version: []string{"alias"}})
	private, slice := imaging.Private, imaging.Slice{First: new(3)}
	for _, f := range []*imaging.Filter{everything, {Visibility: &private}} { // walked, and gathered
		for _, field := range []imaging.OrderField{imaging.ByStartDate, imaging.ByName, imaging.ByStatus} {
			o := &imaging.Order{Field: field, Direction: imaging.Asc}
			of := func(s *db.Store) []string {
				requests, err := s.ImageRequests(t.Context(), ann, slice, f, o)
				if err != nil {
					t.Fatal(err)
				}
				versions, err := s.Versions(t.Context(), ann, slice, f, o)
				if err != nil {
					t.Fatal(err)
				}
				cursors := []string{}
				for _, e := range requests.Edges {
					cursors = append(cursors, e.Cursor())
				}
				for _, e := range versions.Edges {
					cursors = append(cursors, e.Cursor())
				}
				return cursors
			}
			want := of(wide)
			if len(want) < 3 {
				t.Errorf("only %d rows", len(want))
			}
			same(t, want, of(narrow))
		}
	}
}
