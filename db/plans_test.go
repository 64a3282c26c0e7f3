package db_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/db/embedded"
	"imagerequests/imaging"
)

var (
	allLists  = flag.Bool("lists.full", false, "read each list there is, at a million image requests, and tell how long that takes")
	keepLists = flag.String("lists.keep", "", "folder that keeps the database of -lists.full, for the next time")
)

// reading is a page of a list as somebody asks for it.
type reading struct {
	table string
	actor imaging.Actor
	what  string // of the filter
	f     *imaging.Filter
	order imaging.Order
	deep  bool // from the row in the middle of the table on, instead of from the first
}

func (r reading) String() string {
	from := "from the start"
	if r.deep {
		from = "from the middle"
	}
	return fmt.Sprintf("%ss, %s, by %s %s %s, for %q %v", r.table, r.what, r.order.Field, r.order.Direction, from, r.actor.Username, r.actor.Roles)
}

// No list of the schema is read by looking at its whole table, or at more rows than a page may cost, whatever it is filtered
// and ordered by and whoever asks for it: the plans of what is sent say so.
func TestNoListIsReadByItsTable(t *testing.T) {
	t.Parallel()
	each, few := 40, 800 // as far below what is usual as the table is smaller
	if *allLists {
		each, few = 200, 10_000
	}
	l := newLibrary(t)
	l.Store = l.Reaching(each, few)
	most := float64(each*21 + 3*few + 300*21)
	took := timings{}
	for _, r := range l.readings(t) {
		for _, p := range l.plans(t, r) {
			p.Plan.each(func(n *node) {
				rows := n.Loops * (n.Rows + n.Removed)
				switch ours := n.Relation == "image_requests" || n.Relation == "versions"; {
				case ours && n.Type == "Seq Scan" && n.Loops > 0 && rows > float64(4*few): // or it has ended soon
					t.Errorf("%v looks at the whole table:\n%v", r, p)
				case ours && rows > most && !*allLists:
					t.Errorf("%v looks at %v rows, not %v:\n%v", r, rows, most, p)
				}
			})
		}
		for range 3 {
			if !*allLists {
				break
			}
			began := time.Now()
			if err := l.read(t, l.Store, r); err != nil {
				t.Fatal(err)
			}
			took.add(r, time.Since(began))
		}
	}
	took.tell()
	if all := took[eachList]; all != nil && all.percentile(99) > 20*time.Millisecond {
		t.Errorf("one list in a hundred takes longer than %.1f ms", ms(all.percentile(99)))
	}
}

// timings are how long lists took, by kind.
type timings map[string]*timing

type timing struct {
	took    []time.Duration
	longest time.Duration
	slowest reading
}

const eachList = "each list"

func (all timings) add(r reading, d time.Duration) {
	kinds := []string{eachList, r.what}
	if strings.Contains(r.what, " and ") {
		kinds = []string{"lists with two filters"}
	}
	for _, kind := range kinds {
		of := all[kind]
		if of == nil {
			of = &timing{}
			all[kind] = of
		}
		if d > of.longest {
			of.longest, of.slowest = d, r
		}
		of.took = append(of.took, d)
	}
}

func (t *timing) percentile(p int) time.Duration {
	slices.Sort(t.took)
	return t.took[len(t.took)*p/100]
}

func (all timings) tell() {
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		of := all[kind]
		fmt.Printf("| %s | %d | %.1f ms | %.1f ms | %.1f ms | %v |\n", kind, len(of.took), ms(of.percentile(50)), ms(of.percentile(99)), ms(of.longest), of.slowest)
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// library is a database that is full of realistic requests.
type library struct {
	bench
	*sql.Conn
	rnd    *rand.Rand
	places map[string]string // cursors of the middle of each order
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	b, size := bench{}, 40_000
	if *allLists {
		b, size = largeBench(t), 1_000_000
	} else {
		b = newBench(t)
	}
	conn, err := b.sql.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	l := &library{bench: b, Conn: conn, rnd: rand.New(rand.NewPCG(7, 0)), places: map[string]string{}}
	switch n := one[int](t, l.sql, "SELECT count(*) FROM image_requests"); n {
	case 0:
		l.load(t, size)
	case size: // kept
	default:
		t.Fatalf("%s holds %d image requests, not %d: remove it", *keepLists, n, size)
	}
	return l
}

// largeBench is a store on a Postgres of its own that has the memory for a million image requests.
func largeBench(t *testing.T) bench {
	t.Helper()
	dir := *keepLists
	if dir == "" {
		made, err := os.MkdirTemp("", "lists")
		if err != nil {
			t.Fatal(err)
		}
		dir = made
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
	} else if err := os.MkdirAll(dir, 0o711); err != nil { //nolint:gosec // likewise
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // as root, the database's own user must get through
		t.Fatal(err)
	}
	start := func() *embedded.Cluster {
		c, err := embedded.Start(t.Context(), embedded.Options{Dir: dir, MaxConnections: 20, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := start()
	for _, setting := range []string{"shared_buffers = '2GB'", "fsync = off", "autovacuum = off", "max_wal_size = '8GB'"} {
		execute(t, dbtest.SQL(t, first.Config("postgres")), "ALTER SYSTEM SET "+setting)
	}
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := start()
	t.Cleanup(func() { _ = c.Stop(context.Background()) })
	cfg := c.Config("postgres")
	cfg.ConnParams = map[string]string{"statement_timeout": "30min"} // an index of all texts takes a while
	b := bench{dbtest.Open(t, c.Config("postgres")), dbtest.SQL(t, cfg)}
	if _, err := b.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// load fills the tables as the benchmark does, and adds what is rare.
func (l *library) load(t *testing.T, size int) {
	t.Helper()
	script := func(name string) string {
		text, err := os.ReadFile("../bench/" + name + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		return strings.NewReplacer("BEGIN;", "", "COMMIT;", "").Replace(string(text)) // each has a transaction of its own here
	}
	carryOut := func(text string) {
		tx, err := l.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), "SET LOCAL statement_timeout = 0; SET LOCAL maintenance_work_mem = '512MB'; "+text); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	carryOut(script("prepare"))
	carryOut(script("before"))
	const chunk = 20_000
	load := script("load")
	for from := 1; from <= size; from += chunk {
		span := strings.NewReplacer(":from", strconv.Itoa(from), ":total", strconv.Itoa(size), ":to", strconv.Itoa(min(from+chunk-1, size)))
		carryOut(span.Replace(load))
	}
	carryOut("UPDATE image_requests SET tags = tags || '{rare}' WHERE instance IN (SELECT md5(n * 999 || ' 1')::uuid FROM generate_series(1, 30) AS n)")
	for index := range strings.SplitSeq(one[string](t, l.sql, "SELECT string_agg(definition, '; ') FROM dropped"), "; ") {
		carryOut(index)
	}
	carryOut(script("after"))
	if _, err := l.ExecContext(t.Context(), "VACUUM ANALYZE"); err != nil {
		t.Fatal(err)
	}
}

// Those who read, and see much or little by this or that rule.
var readers = []imaging.Actor{
	nobody, reviewer, worker,
	{Username: "worker", Roles: worker.Roles, Providers: []int{2}},
	{Username: "user-00003", Roles: ann.Roles}, // owns much
	{Username: "user-04242", Roles: ann.Roles}, // owns little
	{Username: "user-10005", Roles: ann.Roles}, // much is shared with them
}

// readings are some of all lists there are, with one field of a filter and with two; or all with one, and as many with two.
func (l *library) readings(t *testing.T) []reading {
	t.Helper()
	filters := l.filters(t)
	names := slices.Sorted(maps.Keys(filters))
	var single, double []reading
	for i, name := range names {
		single = l.append(single, name, filters[name])
		for _, other := range names[:i] {
			if f := both(filters[name], filters[other]); f != nil {
				double = l.append(double, name+" and "+other, f)
			}
		}
	}
	draw := func(from []reading, n int) []reading {
		l.rnd.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
		return from[:n]
	}
	if *allLists {
		return append(draw(single, len(single)), draw(double, 2000)...)
	}
	return append(draw(single, 600), draw(double, 600)...)
}

// append adds the lists with a filter: in each order, from each place, for each reader.
func (l *library) append(to []reading, what string, f *imaging.Filter) []reading {
	for _, table := range []string{"image_request", "version"} {
		for _, o := range orders(imaging.ByStartDate, imaging.ByName, imaging.ByStatus)[1:] {
			for _, a := range readers {
				if table == "version" || f.ImageRequest == nil {
					to = append(to, reading{table, a, what, f, *o, false}, reading{table, a, what, f, *o, true})
				}
			}
		}
	}
	return to
}

// both is what meets two filters of different fields; nil if they have one in common.
func both(a, b *imaging.Filter) *imaging.Filter {
	f := *a
	to, from := reflect.ValueOf(&f).Elem(), reflect.ValueOf(b).Elem()
	for i := range to.NumField() {
		switch {
		case from.Field(i).IsNil():
		case !to.Field(i).IsNil():
			return nil
		default:
			to.Field(i).Set(from.Field(i))
		}
	}
	return &f
}

// filters is each field of the filter by itself: with what is frequent, rare, and not there at all.
func (l *library) filters(t *testing.T) map[string]*imaging.Filter {
	search := func(s string) *imaging.Filter { return &imaging.Filter{Search: &s} }
	some := func(query string) (id uuid.UUID) {
		id, _ = uuid.Parse(one[string](t, l.sql, query))
		return id
	}
	all := map[string]*imaging.Filter{
		"all":                {},
		"current":            {Ended: new(false)},
		"retired":            {Ended: new(true)},
		"ids":                {IDs: []uuid.UUID{uuid.New(), some("SELECT id::text FROM image_requests OFFSET 7 LIMIT 1"), some("SELECT id::text FROM versions OFFSET 7 LIMIT 1")}},
		"of a request":       {ImageRequest: new(some("SELECT id::text FROM image_requests OFFSET 9 LIMIT 1"))},
		"pending":            {Status: []imaging.Status{imaging.Pending}},
		"completed":          {Status: []imaging.Status{imaging.Completed}},
		"failed":             {Status: []imaging.Status{imaging.Failed}},
		"open":               {Status: imaging.OpenStatuses},
		"several statuses":   {Status: []imaging.Status{imaging.Pending, imaging.Denied, imaging.Completed, imaging.Denied}},
		"imaging":            {Status: []imaging.Status{imaging.Imaging}},
		"no status":          {Status: []imaging.Status{}},
		"of a heavy user":    {CreatedBy: new("user-00003")},
		"of a light user":    {CreatedBy: new("user-04242")},
		"of nobody":          {CreatedBy: new("who")},
		"provider":           {Provider: new(2)},
		"no provider":        {Provider: new(99)},
		"tag of a tenth":     {Tags: []string{"ubuntu"}},
		"tag of a hundredth": {Tags: []string{"group"}},
		"two tags":           {Tags: []string{"group", "survey"}},
		"rare tag":           {Tags: []string{"rare"}},
		"absent tag":         {Tags: []string{"none"}},
		"public":             {Visibility: new(imaging.Public)},
		"private":            {Visibility: new(imaging.Private)},
		"shared":             {Visibility: new(imaging.Users)},
		"instance":           {Instance: new(some("SELECT instance::text FROM versions OFFSET 11 LIMIT 1"))},
		"no instance":        {Instance: new(uuid.New())},
		"newest":             {StartedFrom: new(time.Date(2026, 6, 29, 0, 0, 0, 0, time.UTC))},
		"older":              {StartedBefore: new(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))},
		"oldest":             {StartedBefore: new(time.Date(2023, 7, 3, 0, 0, 0, 0, time.UTC))},
		"planned":            {EndsFrom: new(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))},
		"ended long ago":     {EndsBefore: new(time.Date(2023, 8, 1, 0, 0, 0, 0, time.UTC))},
		"ended":              {EndsBefore: new(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))},
	}
	if one[bool](t, l.sql, "SELECT EXISTS (SELECT FROM pg_indexes WHERE indexdef LIKE '%gin_trgm_ops%')") {
		all["common word"], all["rare word"], all["absent word"], all["common words"] = search("workbench"), search("zeppelin"), search("xylophone"), search("ubuntu server")
	}
	return all
}

// read reads the page.
func (l *library) read(t *testing.T, s *db.Store, r reading) (err error) {
	slice := l.slice(t, r)
	if r.table == "version" {
		_, err = s.Versions(t.Context(), r.actor, slice, r.f, &r.order)
	} else {
		_, err = s.ImageRequests(t.Context(), r.actor, slice, r.f, &r.order)
	}
	return err
}

// plan is how Postgres has carried out a statement.
type plan struct {
	Plan      node    `json:"Plan"`
	Planning  float64 `json:"Planning Time"`
	Execution float64 `json:"Execution Time"`
	sent      db.Statement
}

func (p *plan) String() string {
	text := strings.TrimSpace(p.sent.Prepared + "\n" + p.sent.Run)
	p.Plan.write(&text, "\n  ")
	return fmt.Sprintf("%s\n  %v ms, %v ms of planning", text, p.Execution, p.Planning)
}

type node struct {
	Type     string  `json:"Node Type"`
	Relation string  `json:"Relation Name"`
	Index    string  `json:"Index Name"`
	Rows     float64 `json:"Actual Rows"` // of one loop
	Removed  float64 `json:"Rows Removed by Filter"`
	Loops    float64 `json:"Actual Loops"`
	Hit      float64 `json:"Shared Hit Blocks"`
	Read     float64 `json:"Shared Read Blocks"`
	Plans    []*node `json:"Plans"`
}

func (n *node) each(f func(*node)) {
	f(n)
	for _, under := range n.Plans {
		under.each(f)
	}
}

func (n *node) write(text *string, indent string) {
	*text += fmt.Sprintf("%s%s %s %s: %v times %v rows and %v for nothing, %v pages", indent, n.Type, n.Relation, n.Index, n.Loops, n.Rows, n.Removed, n.Hit+n.Read)
	for _, under := range n.Plans {
		under.write(text, indent+"  ")
	}
}

// plans reads the page and answers how each statement that was sent for it is carried out.
func (l *library) plans(t *testing.T, r reading) (plans []*plan) {
	t.Helper()
	slice := l.slice(t, r)
	sent, err := l.Statements(func(s *db.Store) error { return l.read(t, s, r) }, r.actor, slice, r.table, r.order)
	if err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	for _, s := range sent {
		plans = append(plans, l.explain(t, s))
	}
	return plans
}

// explain carries a statement out as the store's sessions do; a prepared one by the plan that it has for all arguments.
func (l *library) explain(t *testing.T, s db.Statement) *plan {
	t.Helper()
	ctx := t.Context()
	tx, err := l.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	do := func(query string) {
		if _, err := tx.ExecContext(ctx, query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	if s.Prepared != "" {
		do("SET LOCAL plan_cache_mode = force_generic_plan")
		do("PREPARE page AS " + s.Prepared)
		defer do("DEALLOCATE page")
	}
	var text string
	if err := tx.QueryRowContext(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+s.Run).Scan(&text); err != nil {
		t.Fatalf("%s: %v", s.Run, err)
	}
	var all []*plan
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	all[0].sent = s
	return all[0]
}

// slice is the page: the first, or that behind the row in the middle of the table.
func (l *library) slice(t *testing.T, r reading) imaging.Slice {
	t.Helper()
	if !r.deep {
		return imaging.Slice{}
	}
	key := fmt.Sprint(r.table, r.order)
	if l.places[key] == "" {
		const micros = "(extract(epoch FROM start_date) * 1000000)::bigint"
		of := map[imaging.OrderField][2]string{imaging.ByStartDate: {micros, "start_date"}, imaging.ByName: {"name", "name"}, imaging.ByStatus: {"status || ' ' || " + micros, "status, start_date"}}[r.order.Field]
		query := fmt.Sprintf("SELECT %[1]s || E'\n' || id FROM %[2]ss ORDER BY %[3]s, id OFFSET (SELECT count(*) / 2 FROM %[2]ss) LIMIT 1", of[0], r.table, of[1])
		value, id, _ := strings.Cut(one[string](t, l.sql, query), "\n")
		l.places[key] = db.EncodeCursor(r.table, r.order, value, uuid.MustParse(id))
	}
	return imaging.Slice{After: new(l.places[key])}
}
