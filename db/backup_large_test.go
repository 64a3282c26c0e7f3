package db_test

import (
	"bytes"
	"flag"
	"testing"
	"time"

	"imagerequests/db"
	"imagerequests/db/archive"
	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

var largeRequests = flag.Int("backup.requests", 500, "how many requests TestLargeBackup backs up; docs/operating.md has the figures of 100,000")

// Requests with a version and five events each go into a file and back; what that takes is logged.
func TestLargeBackup(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	b := bench{dbtest.Open(t, cfg), dbtest.SQL(t, cfg)}
	if _, err := b.SaveProvider(t.Context(), admin, imaging.SaveProviderInput{ID: 1, Name: new("one")}); err != nil {
		t.Fatal(err)
	}
	for from := 1; from <= *largeRequests; from += 2000 { // within the time that a statement may take
		upTo := min(from+1999, *largeRequests)
		for _, rows := range []string{
			`INSERT INTO image_requests SELECT md5('r' || n)::uuid, 'Image ' || n, NULL, 'A description of some length, as people write it, number ' || n, '{a,b}',
				'user' || n % 1000, 'PUBLIC', '{}', now() - n * interval '1 minute', NULL, 5, 0, 'COMPLETED', md5('i' || n)::uuid, 1, 'image ' || n, 1 FROM generate_series($1::int, $2::int) n`,
			`INSERT INTO versions (id, image_request_id, name, visibility, ordinal, alias, version, change_log, instance, provider_id, software, sys, exclude, requested_by, authors, start_date, status, decided_at)
				SELECT md5('v' || n)::uuid, md5('r' || n)::uuid, 'Image ' || n, 'PUBLIC', 1, 'alias' || n, '1', '', md5('i' || n)::uuid, 1, 'R 4.2, Python', '', '/root/.ssh', 'user' || n % 1000,
				ARRAY['user' || n % 1000], now() - n * interval '1 minute', 'COMPLETED', now() FROM generate_series($1::int, $2::int) n`,
			`INSERT INTO events (image_request_id, version_id, seq, at, actor, action, to_status, changes) SELECT md5('r' || n)::uuid, md5('v' || n)::uuid, s, now(), 'user' || n % 1000,
				'REQUESTED', 'PENDING', jsonb_build_object('description', jsonb_build_object('from', null, 'to', repeat('text ', 25)))
				FROM generate_series(1, 5) s, generate_series($1::int, $2::int) n ORDER BY s, n`,
		} {
			execute(t, b.sql, rows, from, upTo)
		}
	}
	var file bytes.Buffer
	begun := time.Now()
	m, err := db.Backup(t.Context(), cfg, "", &file, silent)
	if err != nil {
		t.Fatal(err)
	}
	backed := time.Since(begun)
	begun = time.Now()
	a, err := archive.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	checked := time.Since(begun)
	begun = time.Now()
	empty := dbtest.Empty(t)
	if err := db.Restore(t.Context(), empty, a, silent); err != nil {
		t.Fatal(err)
	}
	size := one[int](t, b.sql, "SELECT pg_database_size(current_database())")
	t.Logf("%d requests, %d rows, %d MB in the database, %d MB in the file: backup %s, check %s, restore %s",
		*largeRequests, m.Rows(), size>>20, file.Len()>>20, backed.Round(time.Millisecond), checked.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	want := int64(*largeRequests)*7 + 2 + one[int64](t, b.sql, "SELECT count(*) FROM counts") // and a provider with its event
	if m.Rows() != want {
		t.Errorf("%d rows, want %d", m.Rows(), want)
	}
}
