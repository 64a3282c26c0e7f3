package db_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/uptrace/bun"

	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
)

// The rows that the tests of the constraints begin with; each satisfies all of them.
const (
	goodProvider = "INSERT INTO providers VALUES (1, 'one', true, false), (2, 'two', true, false)"
	goodRequest  = `INSERT INTO image_requests VALUES ('00000000-0000-0000-0000-000000000001', 'n', NULL, '', '{}', 'ann', 'PUBLIC', '{}',
		now(), NULL, 1, 0, 'PENDING', '00000000-0000-0000-0000-00000000000f', 1, '')`
	goodVersion = `INSERT INTO versions (id, image_request_id, ordinal, alias, version, change_log, instance, provider_id, software, sys, exclude, requested_by, authors, start_date, status, name, visibility)
		VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', 1, '00000000-0000-0000-0000-000000000002', '1', '',
		'00000000-0000-0000-0000-00000000000f', 1, '', '', '', 'ann', '{ann}', now(), 'PENDING', 'n', 'PUBLIC')`
	goodEvent = `INSERT INTO events (image_request_id, seq, at, actor, action, changes) VALUES ('00000000-0000-0000-0000-000000000001', 1, now(), '', 'X', '{}')`
	goodKey   = `INSERT INTO idempotency_keys VALUES ('ann', 'k', sha256(''), '00000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-000000000002')`
	goodToken = `INSERT INTO tokens VALUES ('00000000-0000-0000-0000-000000000003', 'ann', '{WORKER}', '{1}', sha256(''), now(), NULL, NULL)`
)

// dates are times that could be stored, and never be read again.
var dates = []string{"'infinity'", "'-infinity'", "'10000-01-01Z'", "'9999-12-31 23:59:59-12'", "'0001-01-01 00:00 BC'", "'0001-01-01 00:00+01'"}

// badRows are changes of the good rows, by table, that Postgres itself must refuse. Some are several of a kind.
func badRows() map[string][]string {
	texts := func(column string, most int) []string {
		return []string{fmt.Sprintf("%s = repeat('日', %d)", column, most+1)}
	}
	bad := map[string][]string{
		"providers": {"id = 0 WHERE id = 2", "name = ''", "name = repeat('x', 257) WHERE id = 2", "name = 'one'", "name = NULL", "active = NULL", "auto_approve = NULL"},
		"image_requests": {
			"name = ''", "name = ' n'", "name = 'n '", "icon = ''", "created_by = ''", "visibility = 'public'", "visibility = ''", "status = 'pending'", "revision = 0",
			"tags = NULL", "tags = '{{a},{b}}'", "tags = '{a,NULL}'", "tags = array_fill('x'::text, ARRAY[65])", "provider_id = 99",
			"visibility = 'USERS', shared_with = '{{a},{b}}'", "visibility = 'USERS', shared_with = '{NULL}'",
			"visibility = 'USERS', shared_with = array_fill('x'::text, ARRAY[201])",
			"visibility = 'USERS'", "shared_with = '{bob}'", "visibility = 'PRIVATE', shared_with = '{bob}'", "end_date = start_date - interval '1 microsecond'",
		},
		"versions": {
			"ordinal = 0", "alias = 'image'", "alias = ''", "status = 'COMPLETED', decided_at = now(), alias = ''", "version = ''", "status = 'DONE'", "provider_id = 99",
			"decided_by = ''", "questioned_by = ''", "question = ''", "attempt = -1", "attempt = NULL", "percent = -1", "percent = 101", "cancel_requested = NULL",
			"excluded = '{{a},{b}}'", "excluded = '{NULL}'", "failure_code = ''", "failure_message = ''",
			"status = 'CANCELLED', end_date = start_date - interval '1 microsecond'",
			"status = 'CANCELLED'", "status = 'APPROVED'", "status = 'NEEDS_INFO'", "status = 'IMAGING', decided_at = now()",
			"status = 'COMPLETED', alias = 'image'", "status = 'NEEDS_INFO', question = 'x', questioned_by = 'r'", "status = 'NEEDS_INFO', question = 'x', questioned_at = now()",
			"status = 'DENIED', end_date = now()", "status = 'DENIED', decided_by = 'r', decided_at = now(), decision = 'no'",
			"status = 'DENIED', end_date = now(), decided_by = 'r', decided_at = now(), decision = ''", "status = 'DENIED', end_date = now(), decided_by = 'r', decided_at = now()",
			"status = 'FAILED', end_date = now()", "status = 'FAILED', end_date = now(), failure_code = 'X', failure_message = 'x'",
			"lease_token = gen_random_uuid()", "lease_holder = 'w'", "lease_expires_at = now()",
			"status = 'IMAGING', decided_at = now(), lease_holder = 'w', lease_seconds = 60, lease_expires_at = now()",
			"status = 'IMAGING', lease_token = gen_random_uuid(), lease_holder = 'w', lease_seconds = 60, lease_expires_at = now()",
		},
		"idempotency_keys": {"username = ''", "key = ''", "key = repeat('x', 256)", "username = repeat('x', 151)", "input_hash = ''", "image_request_id = gen_random_uuid()", "version_id = gen_random_uuid()"},
		"tokens": {
			"username = ''", "username = repeat('x', 151)", "roles = '{}'", "roles = '{BOSS}'", "roles = '{{WORKER}}'", "roles = '{WORKER,NULL}'",
			"roles = array_fill('WORKER'::text, ARRAY[5])", "providers = '{}'", "providers = '{NULL}'", "providers = '{{1}}'", "secret_hash = ''",
		},
	}
	for column, most := range map[string]int{"name": 256, "icon": 1024, "description": 16384, "created_by": 150} {
		bad["image_requests"] = append(bad["image_requests"], texts(column, most)...)
	}
	for column, most := range map[string]int{
		"version": 64, "change_log": 16384, "ip_address": 255, "software": 16384, "sys": 16384, "exclude": 16384, "decided_by": 150, "decision": 16384,
		"questioned_by": 150, "question": 16384, "answer": 16384, "stage": 256, "failure_code": 64, "failure_message": 16384, "failure_detail": 65536,
	} {
		bad["versions"] = append(bad["versions"], texts(column, most)...)
	}
	for table, columns := range map[string]string{
		"image_requests": "start_date end_date", "tokens": "expires_at created_at revoked_at",
		"versions": "start_date end_date decided_at questioned_at answered_at imaging_started imaging_ended",
	} {
		for column := range strings.FieldsSeq(columns) {
			for _, date := range dates {
				bad[table] = append(bad[table], column+" = "+date)
			}
		}
	}
	for _, date := range dates {
		bad["versions"] = append(bad["versions"], "status = 'IMAGING', decided_at = now(), lease_token = gen_random_uuid(), lease_holder = 'w', lease_seconds = 60, lease_expires_at = "+date)
	}
	return bad
}

var errUndo = errors.New("undo")

// Postgres refuses each row that breaks a rule by a rule, whoever writes it.
func TestConstraints(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	s, pool := dbtest.Open(t, cfg), dbtest.SQL(t, cfg)
	for _, good := range []string{goodProvider, goodRequest, goodVersion, goodEvent, goodKey, goodToken} {
		execute(t, pool, good)
	}
	for table, changes := range badRows() {
		for _, change := range changes {
			err := s.InTx(t.Context(), func(ctx context.Context, tx bun.Tx) error {
				_, err := tx.ExecContext(ctx, "SET CONSTRAINTS ALL IMMEDIATE; UPDATE "+table+" SET "+change)
				return errors.Join(err, errUndo)
			})
			if state := safedriver.SQLState(err); !strings.HasPrefix(state, "23") {
				t.Errorf("%s: %s is taken: %v", table, change, err)
			}
		}
	}
}

// Events are only ever inserted, so their rules are tried on new ones.
func TestEventConstraints(t *testing.T) {
	t.Parallel()
	pool := dbtest.SQL(t, dbtest.Config(t))
	for _, good := range []string{goodProvider, goodRequest, goodVersion, goodEvent} {
		execute(t, pool, good)
	}
	const request = "'00000000-0000-0000-0000-000000000001'"
	for _, values := range append([]string{
		request + ", NULL, now(), '', 'X', '{}'", "NULL, 1, now(), '', 'X', '{}'", request + ", 0, now(), '', 'X', '{}'", request + ", 1, now(), '', 'X', '{}'",
		request + ", 3, now(), '', 'X', '{}'", "gen_random_uuid(), 1, now(), '', 'X', '{}'", "NULL, NULL, now(), '', '', '{}'",
		"NULL, NULL, now(), repeat('x', 151), 'X', '{}'", "NULL, NULL, now(), '', repeat('x', 65), '{}'", "NULL, NULL, now(), '', 'X', '[]'", "NULL, NULL, now(), '', 'X', NULL",
		"NULL, NULL, " + strings.Join(dates, ", '', 'X', '{}'|NULL, NULL, ") + ", '', 'X', '{}'",
	}, nil...) {
		for each := range strings.SplitSeq(values, "|") {
			_, err := pool.ExecContext(t.Context(), "INSERT INTO events (image_request_id, seq, at, actor, action, changes) VALUES ("+each+")")
			if state := safedriver.SQLState(err); !strings.HasPrefix(state, "23") {
				t.Errorf("%s is taken: %v", each, err)
			}
		}
	}
}
