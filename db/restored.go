package db

import (
	"context"
	"database/sql"
	"fmt"
)

// settle makes the stream readable in a database that was restored into another server: there the transactions that wrote
// its events may have numbers that are yet to come, so that no reader would reach them. All places are moved before the
// first transaction of any server, in their order. Cursors name events, not places, and stay good.
//
// It runs before anything writes, and only the owner of the table could do it: events are append-only for all else.
const settle = `DO $$
DECLARE
  newest bigint;
BEGIN
  IF to_regclass('events') IS NULL THEN
    RETURN;
  END IF;
  SELECT max(xid) INTO newest FROM events;
  IF newest >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN
    ALTER TABLE events DISABLE TRIGGER events_are_append_only;
    UPDATE events SET xid = xid - newest - 1;
    ALTER TABLE events ENABLE TRIGGER events_are_append_only;
  END IF;
END $$`

// settleStream is settle, within the transaction of the migration.
func settleStream(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, settle); err != nil {
		return fmt.Errorf("settle the stream of events: %w", err)
	}
	return nil
}
