-- Before load.sql, once. Most of its time would go into looking up, for each row, the rows that it refers to, and into indexes: they
-- are quicker made of all rows at once, and are made again from what the table dropped has of them.
ALTER TABLE image_requests DISABLE TRIGGER ALL, ENABLE TRIGGER USER;
ALTER TABLE versions DISABLE TRIGGER ALL, ENABLE TRIGGER USER;
ALTER TABLE events DISABLE TRIGGER ALL;
CREATE TABLE dropped AS SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid::regclass::text IN ('image_requests', 'versions', 'events') AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid);
DO $$ BEGIN EXECUTE 'DROP INDEX ' || (SELECT string_agg(name, ', ') FROM dropped); END $$;
