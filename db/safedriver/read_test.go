package safedriver

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// texts reads the first column, which is text.
func texts(ctx context.Context, pool *sql.DB, query string, args ...string) ([]string, error) {
	read, err := several(ctx, pool, append([]string{query}, args...))
	return read[0], err
}

// several reads the first columns of queries that go together, each with its arguments behind it.
func several(ctx context.Context, pool *sql.DB, asked ...[]string) (read [][]string, err error) {
	read = make([][]string, len(asked))
	all := make([]Reading, len(asked))
	for i, a := range asked {
		all[i] = Reading{a[0], a[1:], func(r Row) error {
			text, _ := r.Next()
			read[i] = append(read[i], text)
			return nil
		}}
	}
	err = Read(ctx, pool, all...)
	return read, err
}

func TestRead(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for range 3 {
		got, err := texts(t.Context(), pool, "SELECT 'row ' || n FROM generate_series(1, $1::int) AS n", "2")
		if err != nil || fmt.Sprint(got) != "[row 1 row 2]" {
			t.Fatal(got, err)
		}
	}
	if got, err := texts(t.Context(), pool, "SELECT count(*)::text FROM pg_prepared_statements WHERE statement LIKE '%row%'"); err != nil || got[0] != "2" { // and this one
		t.Error("statements: ", got, err)
	}
}

// Queries that go together have each their own rows, whether they are prepared or not, and also if one has none. Behind one that fails
// nothing is carried out, and the statements that were prepared before it stay.
func TestReadSeveral(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	const count, text = "SELECT n::text FROM generate_series(1, $1::int) AS n", "SELECT $1::text"
	for range 3 {
		got, err := several(t.Context(), pool, []string{count, "2"}, []string{text, "a"}, []string{count, "0"}, []string{count, "1"}, []string{text, "b"})
		if err != nil || fmt.Sprint(got) != "[[1 2] [a] [] [1] [b]]" {
			t.Fatal(got, err)
		}
	}
	const divide = "SELECT (1 / $1::int)::text"
	got, err := several(t.Context(), pool, []string{text, "a"}, []string{divide, "1"}, []string{divide, "0"}, []string{"SELECT 'new' || $1", "b"})
	if SQLState(err) != "22012" || fmt.Sprint(got) != "[[a] [1] [] []]" {
		t.Error("a division by zero says ", got, err)
	}
	for range 2 { // what was behind it is prepared now
		got, err = several(t.Context(), pool, []string{"SELECT 'new' || $1", "b"}, []string{divide, "1"})
		if err != nil || fmt.Sprint(got) != "[[newb] [1]]" {
			t.Error(got, err)
		}
	}
	if got, err := several(t.Context(), pool, []string{text, "a"}, []string{text, "a\x00b"}); !errors.Is(err, ErrText) {
		t.Error("NUL says ", got, err)
	}
	if err := Read(t.Context(), pool, make([]Reading, statements+1)...); err == nil {
		t.Error("any number can be asked at once")
	}
	must(t, Read(t.Context(), pool))
	if wrong := usable(pool); wrong != "" {
		t.Error(wrong)
	}
}

// As many as there is room for, all new, again and again.
func TestReadManyNewOnes(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for round := range 3 {
		var asked [][]string
		var want [][]string
		for i := range statements {
			asked = append(asked, []string{fmt.Sprintf("SELECT '%d of round %d: ' || $1", i, round), "x"})
			want = append(want, []string{fmt.Sprintf("%d of round %d: x", i, round)})
		}
		for range 2 {
			got, err := several(t.Context(), pool, asked...)
			if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatal(got, err)
			}
		}
	}
	var held int
	must(t, pool.QueryRow("SELECT count(*) FROM pg_prepared_statements").Scan(&held))
	if held != statements {
		t.Errorf("%d statements are kept", held)
	}
}

// A statement that is lost behind one that has answered already is told, since nothing is read twice, and made anew for the next reader.
func TestReadSeveralWhenTheServerForgotOne(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	const query = "SELECT text || $1 FROM read_several"
	_, err := pool.Exec("CREATE TEMP TABLE read_several AS SELECT 'a' AS text")
	must(t, err)
	both := [][]string{{"SELECT $1::text", "x"}, {query, "b"}}
	_, err = several(t.Context(), pool, both...)
	must(t, err)
	_, err = pool.Exec("DEALLOCATE ALL")
	must(t, err)
	if got, err := several(t.Context(), pool, both...); err != nil || fmt.Sprint(got) != "[[x] [ab]]" {
		t.Error("all are lost: ", got, err)
	}
	var name string
	must(t, pool.QueryRow("SELECT name FROM pg_prepared_statements WHERE statement LIKE '%read_several%'").Scan(&name))
	_, err = pool.Exec(`DEALLOCATE "` + name + `"`)
	must(t, err)
	if got, err := several(t.Context(), pool, both...); SQLState(err) != "26000" || fmt.Sprint(got) != "[[x] []]" {
		t.Error("the second is lost: ", got, err)
	}
	if got, err := several(t.Context(), pool, both...); err != nil || fmt.Sprint(got) != "[[x] [ab]]" {
		t.Error("and then: ", got, err)
	}
}

// Callers whose time is up at any moment beside callers who wait: nobody reads what was meant for somebody else.
func TestReadersGetTheirOwnRows(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(4)
	pool.SetMaxIdleConns(4)
	var all sync.WaitGroup
	for reader := range 8 {
		all.Go(func() {
			for call := range 200 {
				mine := fmt.Sprintf("reader %d, call %d", reader, call)
				hasTime := call%2 == 1
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if !hasTime {
					ctx, cancel = context.WithTimeout(ctx, rand.N(3*time.Millisecond))
				}
				const query = "SELECT $1::text || left(pg_sleep(0.0005)::text, 0) FROM generate_series(1, 3)"
				got, err := several(ctx, pool, []string{query, mine}, []string{query, mine + " again"})
				for i, want := range []string{mine, mine + " again"} {
					if wrong := slices.ContainsFunc(got[i], func(text string) bool { return text != want }); wrong || err == nil && len(got[i]) != 3 {
						t.Errorf("%s read %q", want, got[i])
					}
				}
				if err != nil && (hasTime || !errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("%s: %v", mine, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}

func TestReadWhenTheServerForgotTheStatement(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	const query = "SELECT * FROM read_again"
	_, err := pool.Exec("CREATE TEMP TABLE read_again AS SELECT 'a' AS text")
	must(t, err)
	for _, change := range []string{"SELECT 1", "ALTER TABLE read_again ADD other int", "DEALLOCATE ALL", "ALTER TABLE read_again ALTER text TYPE varchar"} {
		_, err := pool.Exec(change)
		must(t, err)
		if got, err := texts(t.Context(), pool, query); err != nil || got[0] != "a" {
			t.Errorf("after %s: %v, %v", change, got, err)
		}
	}
}

func TestReadKeepsFewStatements(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for n := range 3 * statements {
		if _, err := texts(t.Context(), pool, fmt.Sprintf("SELECT nonsense%d", n)); SQLState(err) != "42703" {
			t.Error("nonsense says ", err)
		}
		for _, query := range []string{"SELECT 'often'", fmt.Sprintf("SELECT 'query %d'", n)} {
			_, err := texts(t.Context(), pool, query)
			must(t, err)
		}
	}
	var held, often int
	must(t, pool.QueryRow("SELECT count(*), count(*) FILTER (WHERE statement = 'SELECT ''often''' AND generic_plans + custom_plans >= $1) FROM pg_prepared_statements", 3*statements-1).Scan(&held, &often))
	if held != statements || often != 1 {
		t.Errorf("%d statements are kept, %d of them the one that is used often", held, often)
	}
}

func TestReadEndsWithItsReader(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	enough := errors.New("enough")
	rows := 0
	err := Read(t.Context(), pool, Reading{"SELECT n FROM generate_series(1, 10) AS n", nil, func(Row) error {
		rows++
		return enough
	}})
	if !errors.Is(err, enough) || rows != 1 {
		t.Errorf("%d rows, %v", rows, err)
	}
	if wrong := usable(pool); wrong != "" {
		t.Error(wrong)
	}
	if _, err := texts(t.Context(), pool, "SELECT 1/n FROM generate_series(1, 0, -1) AS n"); SQLState(err) != "22012" {
		t.Error("the second row says ", err)
	}
	if _, err := texts(t.Context(), pool, "SELECT $1::text", "a\x00b"); !errors.Is(err, ErrText) {
		t.Error("NUL says ", err)
	}
	if err := Read(t.Context(), bare(t, config()), Reading{Query: "SELECT 1"}); err == nil {
		t.Error("another driver's pool is taken")
	}
	if wrong := usable(pool); wrong != "" {
		t.Error(wrong)
	}
}

// A pooled connection that died since costs its next reader nothing.
func TestReadAfterTheConnectionDied(t *testing.T) {
	t.Parallel()
	pool := safe(t, config())
	pool.SetMaxOpenConns(1)
	for range 5 {
		pid, err := texts(t.Context(), pool, "SELECT pg_backend_pid()::text")
		must(t, err)
		_, err = safe(t, config()).Exec("SELECT pg_terminate_backend($1::int, 10000)", pid[0])
		must(t, err)
		waitFor(t, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = "+pid[0]+")")
	}
}
