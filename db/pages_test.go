package db_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"imagerequests/db"
	"imagerequests/imaging"
)

// page is a page of any list.
type page[T any] struct {
	rows    []T
	info    imaging.PageInfo
	cursors []string
	total   int
}

func cursors[T any](edges []*db.Edge[T]) []string {
	all := []string{}
	for _, e := range edges {
		all = append(all, e.Cursor)
	}
	return all
}

// checkPages walks through a list from both ends, then reads pieces between any two of its cursors.
func checkPages[T any](t *testing.T, rnd *rand.Rand, want []T, read func(imaging.Slice) (page[T], error)) {
	t.Helper()
	size := min(1+len(want)/8+rnd.IntN(len(want)+3), imaging.MaxPage)
	all := walk(t, want, imaging.Slice{First: &size}, read)
	walk(t, want, imaging.Slice{Last: &size}, read)
	if len(all) != len(want) {
		return
	}
	for range 4 {
		from, to := rnd.IntN(len(want)+1)-1, rnd.IntN(len(want)+1)
		if len(want) == 0 {
			return
		}
		checkPiece(t, rnd, want, all, from, to, read)
	}
}

// walk reads the whole list page by page and gives all cursors back, in the order of the list.
func walk[T any](t *testing.T, want []T, s imaging.Slice, read func(imaging.Slice) (page[T], error)) (all []string) {
	t.Helper()
	rows, backwards := []T{}, s.Last != nil
	for range len(want) + 1 {
		p, err := read(s)
		if err != nil {
			t.Fatal(err)
		}
		checkInfo(t, p, len(want))
		if backwards {
			rows, all = append(p.rows, rows...), append(p.cursors, all...)
			same(t, len(rows) < len(want), p.info.HasPreviousPage)
			same(t, s.Before != nil, p.info.HasNextPage)
			s.Before = p.info.StartCursor
		} else {
			rows, all = append(rows, p.rows...), append(all, p.cursors...)
			same(t, len(rows) < len(want), p.info.HasNextPage)
			same(t, s.After != nil, p.info.HasPreviousPage)
			s.After = p.info.EndCursor
		}
		if backwards && !p.info.HasPreviousPage || !backwards && !p.info.HasNextPage {
			break
		}
	}
	same(t, want, rows)
	return all
}

// checkPiece reads what lies between two cursors; -1 and the length stand for the ends of the list.
func checkPiece[T any](t *testing.T, rnd *rand.Rand, want []T, all []string, from, to int, read func(imaging.Slice) (page[T], error)) {
	t.Helper()
	var s imaging.Slice
	if from >= 0 {
		s.After = &all[from]
	}
	if to < len(all) {
		s.Before = &all[to]
	}
	piece := slices.Clone(want[from+1 : max(to, from+1)])
	n := min(1+rnd.IntN(len(want)+1), imaging.MaxPage)
	s.First = &n
	cut := piece[:min(n, len(piece))]
	more := [2]bool{s.After != nil, len(piece) > n} // before and behind the page
	if rnd.IntN(2) == 0 {
		s.First, s.Last = nil, &n
		cut = piece[max(0, len(piece)-n):]
		more = [2]bool{len(piece) > n, s.Before != nil}
	}
	p, err := read(s)
	if err != nil {
		t.Fatal(err)
	}
	same(t, append([]T{}, cut...), append([]T{}, p.rows...))
	checkInfo(t, p, len(want))
	same(t, more, [2]bool{p.info.HasPreviousPage, p.info.HasNextPage})
}

func checkInfo[T any](t *testing.T, p page[T], total int) {
	t.Helper()
	same(t, total, p.total)
	if len(p.rows) == 0 {
		same(t, [2]*string{}, [2]*string{p.info.StartCursor, p.info.EndCursor})
		return
	}
	same(t, [2]string{p.cursors[0], p.cursors[len(p.cursors)-1]}, [2]string{*p.info.StartCursor, *p.info.EndCursor})
}
