package db_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// characters of every kind that matters to a search: small and large, digits, signs, those of LIKE and of SQL, letters of other
// scripts, signs that stand alone, marks, blanks, what lies beyond 16 bits, and those that signs are spelt in.
var characters = []rune("aabbcASZQKP019+-._%\\'\"/ßſıİσςΣжЖ日本語のログーサ서울ที่ปहिन्दी🙂𝒜e\u0301\u200b\u0001\u0345  \n\u00a0")

func drawText(rt *rapid.T, label string, least, most int) string {
	return string(rapid.SliceOfN(rapid.SampledFrom(characters), least, most).Draw(rt, label))
}

// A search finds what the model finds, whatever the texts and the words are made of.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 400, 0)
	found, missed := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w.recreate(rt)
		for _, r := range w.requests {
			r.Description, r.Tags = drawText(rt, "description", 0, 20), []string{"x" + drawText(rt, "tag", 0, 3)}
			r.Settle()
		}
		w.store(rt)
		for range 16 {
			r := pick(w, w.requests)
			f := &imaging.Filter{Search: new(w.search(r.Description, r.Name+" "+r.Tags[0]))}
			if rapid.Bool().Draw(rt, "anything") {
				f.Search = new(drawText(rt, "search", 1, 3))
			}
			want := filtered(w.requests, func(r *imaging.ImageRequest) bool { return wants(f, r) })
			n, err := w.CountImageRequests(t.Context(), admin, f)
			if err != nil || n != len(want) {
				rt.Fatalf("%q finds %d, %v; want %d", *f.Search, n, err, len(want))
			}
			if found += n; n == 0 {
				missed++
			}
		}
	})
	if found == 0 || missed == 0 {
		t.Errorf("all searches together found %d, %d found nothing", found, missed)
	}
}

// Whatever is searched for has a trigram for the index to look up. The one row that has none comes from the index only when it
// reads all that it has.
func TestSearchesLookUpTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 401, 0)
	r := w.request()
	r.SearchText = ""
	if err := w.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if n := w.visited(t, "SELECT FROM image_requests WHERE search_text LIKE '%a%'"); n != 1 {
		t.Fatalf("what has no trigram reads %d rows from the index, so this test shows nothing", n)
	}
	rapid.Check(t, func(rt *rapid.T) {
		for _, word := range strings.Fields(drawText(rt, "search", 1, 5)) {
			if n := w.visited(rt, w.ListSQL(admin, &imaging.Filter{Search: &word})); n != 0 {
				rt.Fatalf("%q reads all of the index", word)
			}
		}
	})
}

// visited is how many rows the index of searches names to a query that has no way but through it.
func (w *world) visited(t interface {
	rapid.TB
	Context() context.Context
}, query string) int {
	t.Helper()
	tx, err := w.sql.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off"); err != nil {
		t.Fatal(err)
	}
	var text string
	if err := tx.QueryRowContext(t.Context(), "EXPLAIN (ANALYZE, FORMAT JSON) "+query).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	type node struct {
		Kind  string `json:"Node Type"`
		Index string `json:"Index Name"`
		Cond  string `json:"Index Cond"`
		Rows  int    `json:"Actual Rows"`
		Plans []node
	}
	var plans []struct{ Plan node }
	if err := json.Unmarshal([]byte(text), &plans); err != nil {
		t.Fatal(err)
	}
	for at := plans[0].Plan; ; at = at.Plans[0] {
		if at.Index == "image_requests_by_search" && at.Cond != "" {
			return at.Rows
		}
		if len(at.Plans) == 0 {
			t.Fatalf("%s is not read through the index: %s", query, text)
		}
	}
}

// Each letter is one for Postgres, too, and what is none is spelt in letters: each character alone has a trigram.
func TestEachCharacterHasATrigram(t *testing.T) {
	t.Parallel()
	var words []string
	for r := range unicode.MaxRune + 1 {
		words = append(words, imaging.SearchWords(strings.ToValidUTF8(string(r), ""))...)
	}
	pool := dbtest.SQL(t, dbtest.Config(t))
	const none = `SELECT coalesce(string_agg(word, ','), '') FROM unnest(string_to_array($1, ',')) AS word WHERE show_trgm(word) = '{}'`
	same(t, "", one[string](t, pool, none, strings.Join(words, ",")))
}

// Where the database knows no letters but ASCII's, searches find the same, and it is known that they are slower.
func TestSearchWithoutLetters(t *testing.T) {
	t.Parallel()
	if knows, err := dbtest.Store(t).KnowsLetters(t.Context()); err != nil || !knows {
		t.Errorf("a database of our own knows letters: %v, %v", knows, err)
	}
	cfg := dbtest.ASCII(t)
	s := dbtest.Open(t, cfg)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if knows, err := s.KnowsLetters(t.Context()); err != nil || knows {
		t.Errorf("a database of C knows letters: %v, %v", knows, err)
	}
	if _, err := s.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	in := image()
	in.Name = "Größe ΣΟΦΟΣ 日本 C++"
	if _, err := s.RequestImage(t.Context(), ann, in); err != nil {
		t.Fatal(err)
	}
	for search, want := range map[string]int{"GRÖẞE": 1, "σοφος": 1, "本": 1, "日本": 1, "c++": 1, "öß": 0, "größer": 0, "本日": 0} {
		if n, err := s.CountImageRequests(t.Context(), admin, &imaging.Filter{Search: &search}); err != nil || n != want {
			t.Errorf("%s finds %d, %v", search, n, err)
		}
	}
}

// The extension may be in any schema; a role that may not create it is told what to do, and so is who has no such extension.
func TestSearchExtension(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	pool, role := dbtest.SQL(t, cfg), cfg.Database+"_owner"
	execute(t, pool, "CREATE ROLE "+role+" LOGIN; GRANT CREATE ON SCHEMA public TO "+role)
	t.Cleanup(func() {
		if _, err := pool.Exec("DROP OWNED BY " + role + "; DROP ROLE " + role); err != nil {
			t.Error(err)
		}
	})
	cfg.User = role
	s := dbtest.Open(t, cfg)
	if _, err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "GRANT CREATE ON DATABASE") {
		t.Errorf("a role that may not create extensions migrates with %v", err)
	}
	steps, err := db.Migrations()
	if err != nil {
		t.Fatal(err)
	}
	missing := step(1, strings.ReplaceAll(steps[0].SQL, "pg_trgm", "pg_trgm_of_no_package"))
	if _, err := s.MigrateTo(t.Context(), []db.Migration{missing}); err == nil || !strings.Contains(err.Error(), "postgresql-contrib") {
		t.Errorf("without the extension it migrates with %v", err)
	}
	execute(t, pool, `CREATE SCHEMA "of extensions"; CREATE EXTENSION pg_trgm SCHEMA "of extensions"; GRANT USAGE ON SCHEMA "of extensions" TO `+role)
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if knows, err := s.KnowsLetters(t.Context()); err != nil || !knows {
		t.Errorf("it knows letters: %v, %v", knows, err)
	}
	w := &world{Store: s, sql: dbtest.SQL(t, cfg)}
	w.visited(t, w.ListSQL(admin, &imaging.Filter{Search: new("word")}))
}

// The longest texts of the longest signs can be stored and found.
func TestSearchInTheLongestTexts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	next := rune(0x10000)
	signs := func(n int) string {
		text := make([]rune, n)
		for i := range text {
			next++
			text[i] = next
		}
		return string(text)
	}
	in := image()
	in.Name, in.Description, in.Tags = signs(imaging.MaxName), signs(imaging.MaxText), nil
	for range imaging.MaxTags {
		in.Tags = append(in.Tags, signs(imaging.MaxTag))
	}
	if _, err := b.RequestImage(t.Context(), ann, in); err != nil {
		t.Fatal(err)
	}
	for search, want := range map[string]int{in.Tags[imaging.MaxTags-1]: 1, in.Tags[0] + "!": 0} {
		if n, err := b.CountImageRequests(t.Context(), admin, &imaging.Filter{Search: &search}); err != nil || n != want {
			t.Errorf("%q finds %d, %v", search, n, err)
		}
	}
}
