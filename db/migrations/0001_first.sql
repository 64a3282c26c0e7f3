-- The whole shape of the service. Later work adds to it; what would be costly to add is here from the start.

CREATE TABLE providers (
  id           integer PRIMARY KEY CHECK (id >= 1),
  name         text COLLATE "C" NOT NULL UNIQUE CHECK (char_length(name) BETWEEN 1 AND 256),
  active       boolean NOT NULL,
  auto_approve boolean NOT NULL
);
COMMENT ON TABLE providers IS 'Clouds, or parts of one, that images are made for. Never deleted: set inactive.';
COMMENT ON COLUMN providers.active IS 'Whether it takes new requests.';
COMMENT ON COLUMN providers.auto_approve IS 'Whether its versions are approved without a reviewer.';

CREATE TABLE image_requests (
  id          uuid PRIMARY KEY,
  name        text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 256 AND name = btrim(name)),
  icon        text CHECK (char_length(icon) BETWEEN 1 AND 1024),
  description text NOT NULL CHECK (char_length(description) <= 16384),
  tags        text[] NOT NULL,
  created_by  text COLLATE "C" NOT NULL CHECK (char_length(created_by) BETWEEN 1 AND 150),
  visibility  text COLLATE "C" NOT NULL CHECK (visibility IN ('PUBLIC', 'PRIVATE', 'USERS')),
  shared_with text[] COLLATE "C" NOT NULL,
  start_date  timestamptz NOT NULL,
  end_date    timestamptz,
  revision    integer NOT NULL CHECK (revision >= 1),
  reports     integer NOT NULL DEFAULT 0 CHECK (reports >= 0),
  status      text COLLATE "C" NOT NULL
              CHECK (status IN ('PENDING', 'NEEDS_INFO', 'DENIED', 'CANCELLED', 'APPROVED', 'IMAGING', 'COMPLETED', 'FAILED')),
  instance    uuid NOT NULL,
  provider_id integer NOT NULL REFERENCES providers,
  search_text text COLLATE "C" NOT NULL CHECK (char_length(search_text) <= 262144),
  shared_since integer NOT NULL DEFAULT 1 CHECK (shared_since >= 1),
  CONSTRAINT image_requests_tags_are_a_list
    CHECK (coalesce(array_ndims(tags), 1) = 1 AND cardinality(tags) <= 64 AND array_position(tags, NULL) IS NULL
       AND char_length(array_to_string(tags, '')) <= 64 * 128),
  CONSTRAINT image_requests_shared_with_is_a_list
    CHECK (coalesce(array_ndims(shared_with), 1) = 1 AND cardinality(shared_with) <= 200 AND array_position(shared_with, NULL) IS NULL
       AND char_length(array_to_string(shared_with, '')) <= 200 * 150),
  CONSTRAINT image_requests_shared_with_users_only
    CHECK ((visibility = 'USERS') = (cardinality(shared_with) > 0)),
  CONSTRAINT image_requests_end_after_they_start CHECK (end_date >= start_date),
  CONSTRAINT image_requests_dates_can_be_read_back
    CHECK (start_date >= '0001-01-01Z' AND start_date < '10000-01-01Z' AND end_date >= '0001-01-01Z' AND end_date < '10000-01-01Z')
);
COMMENT ON TABLE image_requests IS 'Images that somebody asked for. A lock on the row orders all that happens to it and its versions.';
COMMENT ON COLUMN image_requests.shared_with IS 'Exact user names; not empty with visibility USERS, and only then.';
COMMENT ON COLUMN image_requests.end_date IS 'When it was retired, or will be.';
COMMENT ON COLUMN image_requests.revision IS 'Counts the changes but for the reports of workers.';
COMMENT ON COLUMN image_requests.reports IS 'Counts the reports of workers: with revision, the seq of its newest event.';
COMMENT ON COLUMN image_requests.shared_since IS 'The seq of the newest event that changed who may see it.';
COMMENT ON COLUMN image_requests.status IS 'Of the newest version, kept here for lists.';
COMMENT ON COLUMN image_requests.instance IS 'Of the newest version, kept here for lists.';
COMMENT ON COLUMN image_requests.provider_id IS 'Of the newest version, kept here for lists.';
COMMENT ON COLUMN image_requests.search_text IS 'Name, description and tags in the letters that upper and lower case have in common, and each sign in capitals (imaging/search.go).';
CREATE INDEX image_requests_by_start_date ON image_requests (start_date, id);
CREATE INDEX image_requests_by_name ON image_requests (name, id);
CREATE INDEX image_requests_by_status ON image_requests (status, start_date, id);
CREATE INDEX image_requests_by_status_and_name ON image_requests (status, name, id);
CREATE INDEX image_requests_with_end_by_start_date ON image_requests (start_date, id) WHERE end_date IS NOT NULL;
CREATE INDEX image_requests_with_end_by_name ON image_requests (name, id) WHERE end_date IS NOT NULL;
CREATE INDEX image_requests_with_end_by_status ON image_requests (status, start_date, id) WHERE end_date IS NOT NULL;
CREATE INDEX image_requests_by_owner ON image_requests (created_by, visibility, start_date, id) INCLUDE (end_date);
CREATE INDEX image_requests_of_provider ON image_requests (provider_id, start_date, id);
CREATE INDEX image_requests_for_everybody ON image_requests (start_date, id) WHERE visibility = 'PUBLIC';
CREATE INDEX image_requests_by_tag ON image_requests USING gin (tags);
CREATE INDEX image_requests_by_shared_with ON image_requests USING gin (shared_with);
-- With what the counts of image requests that are yet to end are told by, so that each need not be looked up.
CREATE INDEX image_requests_by_end_date ON image_requests (end_date) INCLUDE (start_date, visibility, status, provider_id) WHERE end_date IS NOT NULL;
CREATE INDEX image_requests_by_instance ON image_requests (instance);

-- The index of searches is of an extension that any PostgreSQL comes with, but not every package of it. An operator may have put it
-- into a schema of its own. A text has hundreds of entries, so new rows wait in a list until there is a megabyte of them, some 250:
-- one at a time a create would take ten times as long, and a longer list takes each search longer.
DO $$
BEGIN
  CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION
  WHEN feature_not_supported OR undefined_file THEN
    RAISE feature_not_supported USING MESSAGE = 'searches need the extension pg_trgm, which is not installed beside this PostgreSQL: '
      'install the package of its contributed modules, postgresql-contrib or the like';
  WHEN insufficient_privilege THEN
    RAISE insufficient_privilege USING MESSAGE = 'searches need the extension pg_trgm, and this role may not create it: '
      'have somebody who may carry out CREATE EXTENSION pg_trgm in this database, or GRANT CREATE ON DATABASE to the role';
END $$;
DO $$
BEGIN
  EXECUTE format('CREATE INDEX image_requests_by_search ON image_requests USING gin (search_text %s.gin_trgm_ops) WITH (gin_pending_list_limit = 1024)',
    (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'));
END $$;

CREATE TABLE versions (
  id               uuid PRIMARY KEY,
  image_request_id uuid NOT NULL REFERENCES image_requests,
  ordinal          integer NOT NULL CHECK (ordinal >= 1),
  alias            text COLLATE "C" NOT NULL CHECK (char_length(alias) BETWEEN 1 AND 256),
  version          text COLLATE "C" NOT NULL CHECK (char_length(version) BETWEEN 1 AND 64),
  change_log       text NOT NULL CHECK (char_length(change_log) <= 16384),
  instance         uuid NOT NULL,
  ip_address       text CHECK (char_length(ip_address) <= 255),
  provider_id      integer NOT NULL REFERENCES providers,
  software         text NOT NULL CHECK (char_length(software) <= 16384),
  sys              text NOT NULL CHECK (char_length(sys) <= 16384),
  exclude          text NOT NULL CHECK (char_length(exclude) <= 16384),
  requested_by     text COLLATE "C" NOT NULL CHECK (char_length(requested_by) BETWEEN 1 AND 150),
  authors          text[] COLLATE "C" NOT NULL,
  start_date       timestamptz NOT NULL,
  end_date         timestamptz,
  status           text COLLATE "C" NOT NULL
                   CHECK (status IN ('PENDING', 'NEEDS_INFO', 'DENIED', 'CANCELLED', 'APPROVED', 'IMAGING', 'COMPLETED', 'FAILED')),
  name             text COLLATE "C" NOT NULL,
  visibility       text COLLATE "C" NOT NULL,

  decided_by       text COLLATE "C" CHECK (char_length(decided_by) BETWEEN 1 AND 150),
  decided_at       timestamptz,
  decision         text CHECK (char_length(decision) <= 16384),
  questioned_by    text COLLATE "C" CHECK (char_length(questioned_by) BETWEEN 1 AND 150),
  questioned_at    timestamptz,
  question         text CHECK (char_length(question) BETWEEN 1 AND 16384),
  answered_at      timestamptz,
  answer           text CHECK (char_length(answer) <= 16384),

  attempt          integer NOT NULL DEFAULT 0 CHECK (attempt >= 0),
  stage            text CHECK (char_length(stage) <= 256),
  percent          smallint CHECK (percent BETWEEN 0 AND 100),
  cancel_requested boolean NOT NULL DEFAULT false,
  excluded         text[],
  imaging_started  timestamptz,
  imaging_ended    timestamptz,
  lease_token      uuid,
  lease_seconds    integer CHECK (lease_seconds BETWEEN 10 AND 3600),
  lease_holder     text COLLATE "C" CHECK (char_length(lease_holder) BETWEEN 1 AND 150),
  lease_expires_at timestamptz,
  ended_lease      uuid,
  failure_code     text COLLATE "C" CHECK (char_length(failure_code) BETWEEN 1 AND 64),
  failure_message  text CHECK (char_length(failure_message) BETWEEN 1 AND 16384),
  failure_detail   text CHECK (char_length(failure_detail) <= 65536),
  failure_retryable boolean,

  CONSTRAINT versions_ordinal_key UNIQUE (image_request_id, ordinal) INCLUDE (start_date, status, id), -- the places that versions have in lists, read without the table
  CONSTRAINT versions_label_is_unique UNIQUE (image_request_id, version),
  CONSTRAINT versions_alias_is_unique UNIQUE (provider_id, alias),
  CONSTRAINT versions_alias_is_the_id_until_the_image_exists CHECK (status = 'COMPLETED' OR alias = id::text),
  CONSTRAINT versions_excluded_is_a_list
    CHECK (coalesce(array_ndims(excluded), 1) = 1 AND cardinality(excluded) <= 16384 AND array_position(excluded, NULL) IS NULL),
  CONSTRAINT versions_authors_are_a_list
    CHECK (array_ndims(authors) = 1 AND array_position(authors, NULL) IS NULL AND requested_by = ANY (authors)),
  CONSTRAINT versions_end_with_their_status
    CHECK (status NOT IN ('DENIED', 'CANCELLED', 'FAILED') OR end_date IS NOT NULL),
  CONSTRAINT versions_open_without_an_end
    CHECK (status NOT IN ('PENDING', 'NEEDS_INFO', 'APPROVED', 'IMAGING') OR end_date IS NULL),
  CONSTRAINT versions_stopped_while_imaging
    CHECK (status = 'IMAGING' OR NOT cancel_requested),
  CONSTRAINT versions_without_a_failure_but_failed
    CHECK (status IN ('FAILED', 'CANCELLED') OR num_nonnulls(failure_code, failure_message, failure_detail, failure_retryable) = 0),
  CONSTRAINT versions_denied_for_a_reason
    CHECK (status <> 'DENIED' OR decided_by IS NOT NULL AND decided_at IS NOT NULL AND decision IS NOT NULL AND decision <> ''),
  CONSTRAINT versions_approved_by_a_decision
    CHECK (status NOT IN ('APPROVED', 'IMAGING', 'COMPLETED') OR decided_at IS NOT NULL),
  CONSTRAINT versions_questioned_with_a_question
    CHECK (status <> 'NEEDS_INFO' OR question IS NOT NULL AND questioned_by IS NOT NULL AND questioned_at IS NOT NULL),
  CONSTRAINT versions_failed_for_a_reason
    CHECK (status <> 'FAILED' OR failure_code IS NOT NULL AND failure_message IS NOT NULL AND failure_retryable IS NOT NULL),
  CONSTRAINT versions_leased_while_imaging
    CHECK (CASE WHEN status = 'IMAGING' THEN lease_token IS NOT NULL AND lease_holder IS NOT NULL AND lease_seconds IS NOT NULL AND lease_expires_at IS NOT NULL
                ELSE lease_token IS NULL AND lease_holder IS NULL AND lease_seconds IS NULL AND lease_expires_at IS NULL END),
  CONSTRAINT versions_end_after_they_start CHECK (end_date >= start_date),
  CONSTRAINT versions_dates_can_be_read_back
    CHECK (start_date >= '0001-01-01Z' AND start_date < '10000-01-01Z' AND end_date >= '0001-01-01Z' AND end_date < '10000-01-01Z'
       AND decided_at >= '0001-01-01Z' AND decided_at < '10000-01-01Z' AND questioned_at >= '0001-01-01Z' AND questioned_at < '10000-01-01Z'
       AND answered_at >= '0001-01-01Z' AND answered_at < '10000-01-01Z' AND imaging_started >= '0001-01-01Z' AND imaging_started < '10000-01-01Z'
       AND imaging_ended >= '0001-01-01Z' AND imaging_ended < '10000-01-01Z'
       AND lease_expires_at >= '0001-01-01Z' AND lease_expires_at < '10000-01-01Z')
);
COMMENT ON TABLE versions IS 'Imagings of one instance on one provider, with their life cycle.';
COMMENT ON COLUMN versions.ordinal IS 'Place within the request, from 1; the highest is the newest.';
COMMENT ON COLUMN versions.alias IS 'The name under which the provider knows the image; the id of the version until there is an image.';
COMMENT ON COLUMN versions.version IS 'The label.';
COMMENT ON COLUMN versions.ip_address IS 'Named by the client, never relied upon.';
COMMENT ON COLUMN versions.requested_by IS 'Who asked for it, whoever owns the request by now.';
COMMENT ON COLUMN versions.authors IS 'Who asked for it or changed what it is made of: they never decide on it.';
COMMENT ON COLUMN versions.name IS 'Of the request, kept here for lists.';
COMMENT ON COLUMN versions.visibility IS 'Of the request, kept here for the counts of lists.';
COMMENT ON COLUMN versions.decided_by IS 'Null where the provider approved by itself.';
COMMENT ON COLUMN versions.attempt IS 'How often a worker has begun it.';
COMMENT ON COLUMN versions.excluded IS 'The paths of exclude that the imager found and left out.';
COMMENT ON COLUMN versions.lease_token IS 'Known to the worker that images it; each of its writes must show it.';
COMMENT ON COLUMN versions.lease_expires_at IS 'By the clock of the database.';
COMMENT ON COLUMN versions.ended_lease IS 'With which a worker ended it last: the same word sent again is answered the same.';
COMMENT ON COLUMN versions.failure_detail IS 'For staff.';
CREATE UNIQUE INDEX versions_one_open_per_instance ON versions (instance) WHERE status IN ('PENDING', 'NEEDS_INFO', 'APPROVED', 'IMAGING');
CREATE INDEX versions_by_start_date ON versions (start_date, id);
CREATE INDEX versions_in_queue ON versions (status, provider_id, start_date, id);
-- Those that INCLUDE have what most filters, and who sees what, are told by: what follows each other by name lies anywhere in the table.
CREATE INDEX versions_by_name ON versions (name, id) INCLUDE (image_request_id, visibility, status, provider_id, start_date, end_date);
CREATE INDEX versions_by_status ON versions (status, start_date, id);
CREATE INDEX versions_by_status_and_name ON versions (status, name, id);
CREATE INDEX versions_with_end_by_start_date ON versions (start_date, id) WHERE end_date IS NOT NULL;
CREATE INDEX versions_with_end_by_name ON versions (name, id) INCLUDE (image_request_id, visibility, status, provider_id, start_date, end_date) WHERE end_date IS NOT NULL;
CREATE INDEX versions_with_end_by_status ON versions (status, start_date, id) INCLUDE (image_request_id, visibility, provider_id, end_date) WHERE end_date IS NOT NULL;
CREATE INDEX versions_by_instance ON versions (instance);
CREATE INDEX versions_by_end_date ON versions (end_date) WHERE end_date IS NOT NULL;
CREATE INDEX versions_by_lease ON versions (lease_expires_at) WHERE status = 'IMAGING';

CREATE FUNCTION follow_image_request() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE versions SET name = NEW.name, visibility = NEW.visibility WHERE image_request_id = NEW.id AND (name, visibility) <> (NEW.name, NEW.visibility);
  RETURN NULL;
END $$;
CREATE TRIGGER versions_follow_their_request AFTER UPDATE OF name, visibility ON image_requests
  FOR EACH ROW WHEN ((OLD.name, OLD.visibility) IS DISTINCT FROM (NEW.name, NEW.visibility)) EXECUTE FUNCTION follow_image_request();

CREATE TABLE counts (
  of          text COLLATE "C" NOT NULL CHECK (of IN ('image_requests', 'versions')),
  span        text COLLATE "C" NOT NULL CHECK (span IN ('ALL', 'MONTH', 'DAY', 'END')),
  since       date NOT NULL,
  visibility  text COLLATE "C" NOT NULL,
  status      text COLLATE "C" NOT NULL,
  provider_id integer NOT NULL,
  dated       boolean NOT NULL,
  slot        integer NOT NULL,
  n           bigint NOT NULL,
  PRIMARY KEY (of, span, visibility, dated, since, status, provider_id, slot)
) WITH (fillfactor = 70);
COMMENT ON TABLE counts IS 'How many rows the tables have, kept in the transactions that change them: the sum of n over all slots. Lists are counted, and their pages found, without a look at their rows.';
COMMENT ON COLUMN counts.span IS 'Which start dates are counted: all of them (for versions, only that), those of a month, or of a day, by UTC. END: which end dates, those of a day.';
COMMENT ON COLUMN counts.since IS 'The first day of the span.';
COMMENT ON COLUMN counts.dated IS 'Whether they have an end date; whether that has come, only the time can tell.';
COMMENT ON COLUMN counts.slot IS 'Writers do not wait for each other: each takes a slot of its own. A slot by itself means nothing, and may be below zero.';

-- The first slot that nobody writes to until the transaction ends; only if all are taken, one to wait for.
CREATE FUNCTION count_slot() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  FOR slot IN 0..15 LOOP
    IF pg_try_advisory_xact_lock(1129270868, slot) THEN
      RETURN slot;
    END IF;
  END LOOP;
  PERFORM pg_advisory_xact_lock(1129270868, pg_backend_pid() % 16);
  RETURN pg_backend_pid() % 16;
END $$;

-- Rows that do not change where they are counted cancel out, and nothing is written.
CREATE FUNCTION count_image_requests() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO counts
    SELECT 'image_requests', s.span, s.since, c.visibility, c.status, c.provider_id, c.dated, (SELECT count_slot()), sum(c.d)
    FROM (SELECT start_date, visibility, status, provider_id, end_date, end_date IS NOT NULL AS dated, 1 AS d FROM added) AS c, LATERAL (VALUES ('ALL', date '1970-01-01'), ('MONTH', date_trunc('month', c.start_date AT TIME ZONE 'UTC')::date),
      ('DAY', (c.start_date AT TIME ZONE 'UTC')::date), ('END', (c.end_date AT TIME ZONE 'UTC')::date)) AS s (span, since)
    WHERE s.since IS NOT NULL
    GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(c.d) <> 0 ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (of, span, since, visibility, status, provider_id, dated, slot) DO UPDATE SET n = counts.n + EXCLUDED.n;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO counts
    SELECT 'image_requests', s.span, s.since, c.visibility, c.status, c.provider_id, c.dated, (SELECT count_slot()), sum(c.d)
    FROM (SELECT start_date, visibility, status, provider_id, end_date, end_date IS NOT NULL AS dated, -1 AS d FROM removed) AS c, LATERAL (VALUES ('ALL', date '1970-01-01'), ('MONTH', date_trunc('month', c.start_date AT TIME ZONE 'UTC')::date),
      ('DAY', (c.start_date AT TIME ZONE 'UTC')::date), ('END', (c.end_date AT TIME ZONE 'UTC')::date)) AS s (span, since)
    WHERE s.since IS NOT NULL
    GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(c.d) <> 0 ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (of, span, since, visibility, status, provider_id, dated, slot) DO UPDATE SET n = counts.n + EXCLUDED.n;
  ELSE
    INSERT INTO counts
    SELECT 'image_requests', s.span, s.since, c.visibility, c.status, c.provider_id, c.dated, (SELECT count_slot()), sum(c.d)
    FROM (SELECT start_date, visibility, status, provider_id, end_date, end_date IS NOT NULL AS dated, 1 AS d FROM added UNION ALL SELECT start_date, visibility, status, provider_id, end_date, end_date IS NOT NULL AS dated, -1 AS d FROM removed) AS c, LATERAL (VALUES ('ALL', date '1970-01-01'), ('MONTH', date_trunc('month', c.start_date AT TIME ZONE 'UTC')::date),
      ('DAY', (c.start_date AT TIME ZONE 'UTC')::date), ('END', (c.end_date AT TIME ZONE 'UTC')::date)) AS s (span, since)
    WHERE s.since IS NOT NULL
    GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(c.d) <> 0 ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (of, span, since, visibility, status, provider_id, dated, slot) DO UPDATE SET n = counts.n + EXCLUDED.n;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER image_requests_added AFTER INSERT ON image_requests REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_image_requests();
CREATE TRIGGER image_requests_changed AFTER UPDATE ON image_requests REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_image_requests();
CREATE TRIGGER image_requests_removed AFTER DELETE ON image_requests REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_image_requests();
CREATE FUNCTION count_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    INSERT INTO counts
    SELECT 'versions', s.span, s.since, c.visibility, c.status, c.provider_id, c.dated, (SELECT count_slot()), sum(c.d)
    FROM (SELECT start_date, visibility, status, provider_id, end_date IS NOT NULL AS dated, 1 AS d FROM added) AS c, (VALUES ('ALL', date '1970-01-01')) AS s (span, since)
    GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(c.d) <> 0 ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (of, span, since, visibility, status, provider_id, dated, slot) DO UPDATE SET n = counts.n + EXCLUDED.n;
  ELSIF TG_OP = 'DELETE' THEN
    INSERT INTO counts
    SELECT 'versions', s.span, s.since, c.visibility, c.status, c.provider_id, c.dated, (SELECT count_slot()), sum(c.d)
    FROM (SELECT start_date, visibility, status, provider_id, end_date IS NOT NULL AS dated, -1 AS d FROM removed) AS c, (VALUES ('ALL', date '1970-01-01')) AS s (span, since)
    GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(c.d) <> 0 ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (of, span, since, visibility, status, provider_id, dated, slot) DO UPDATE SET n = counts.n + EXCLUDED.n;
  ELSE
    INSERT INTO counts
    SELECT 'versions', s.span, s.since, c.visibility, c.status, c.provider_id, c.dated, (SELECT count_slot()), sum(c.d)
    FROM (SELECT start_date, visibility, status, provider_id, end_date IS NOT NULL AS dated, 1 AS d FROM added UNION ALL SELECT start_date, visibility, status, provider_id, end_date IS NOT NULL AS dated, -1 AS d FROM removed) AS c, (VALUES ('ALL', date '1970-01-01')) AS s (span, since)
    GROUP BY 2, 3, 4, 5, 6, 7 HAVING sum(c.d) <> 0 ORDER BY 2, 3, 4, 5, 6, 7
    ON CONFLICT (of, span, since, visibility, status, provider_id, dated, slot) DO UPDATE SET n = counts.n + EXCLUDED.n;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER versions_added AFTER INSERT ON versions REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_versions();
CREATE TRIGGER versions_changed AFTER UPDATE ON versions REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION count_versions();
CREATE TRIGGER versions_removed AFTER DELETE ON versions REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION count_versions();

CREATE TABLE events (
  id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid              bigint NOT NULL,
  image_request_id uuid REFERENCES image_requests,
  version_id       uuid REFERENCES versions,
  seq              integer CHECK (seq >= 1),
  at               timestamptz NOT NULL CHECK (at >= '0001-01-01Z' AND at < '10000-01-01Z'),
  actor            text COLLATE "C" NOT NULL CHECK (char_length(actor) <= 150),
  action           text COLLATE "C" NOT NULL CHECK (char_length(action) BETWEEN 1 AND 64),
  from_status      text COLLATE "C"
                   CHECK (from_status IN ('PENDING', 'NEEDS_INFO', 'DENIED', 'CANCELLED', 'APPROVED', 'IMAGING', 'COMPLETED', 'FAILED')),
  to_status        text COLLATE "C"
                   CHECK (to_status IN ('PENDING', 'NEEDS_INFO', 'DENIED', 'CANCELLED', 'APPROVED', 'IMAGING', 'COMPLETED', 'FAILED')),
  message          text CHECK (char_length(message) <= 16384),
  changes          jsonb NOT NULL CHECK (jsonb_typeof(changes) = 'object'),
  CONSTRAINT events_of_a_request_are_numbered UNIQUE (image_request_id, seq),
  CONSTRAINT events_with_a_request_have_a_number CHECK ((image_request_id IS NULL) = (seq IS NULL))
);
COMMENT ON TABLE events IS 'What happened, written in the transaction that changed the state, never changed itself.';
COMMENT ON COLUMN events.xid IS 'With id its place in the stream: the transaction that wrote it, or a later one if that wrote the event before it of its request. Readers go up to the oldest transaction that still runs, so that none is passed over. Negative in a restored database.';
COMMENT ON COLUMN events.seq IS 'Without a gap within an image request; null for providers and tokens.';
COMMENT ON COLUMN events.actor IS 'A user name; empty for the service itself.';
COMMENT ON COLUMN events.changes IS 'Each field that changed, with what it was and what it is.';
CREATE INDEX events_in_order ON events (xid, id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'events are never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER events_are_append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER events_are_not_emptied BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- An event takes the number after the last one of its request: a gap is refused where it would arise. In the stream it
-- stands behind that one, too. Its transaction may have begun before the one that wrote that one, and waited for it; but
-- never is its place before its own transaction's, which is what readers rely on.
CREATE FUNCTION place_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  before bigint;
BEGIN
  NEW.xid := pg_current_xact_id()::text::bigint;
  IF NEW.image_request_id IS NOT NULL AND NEW.seq > 1 THEN
    SELECT xid INTO before FROM events WHERE image_request_id = NEW.image_request_id AND seq = NEW.seq - 1;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'event % of % leaves a gap', NEW.seq, NEW.image_request_id USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.xid := greatest(NEW.xid, before);
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER events_have_their_place BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION place_event();

CREATE TABLE idempotency_keys (
  username         text COLLATE "C" NOT NULL CHECK (char_length(username) BETWEEN 1 AND 150),
  key              text COLLATE "C" NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
  input_hash       bytea NOT NULL CHECK (octet_length(input_hash) = 32),
  image_request_id uuid NOT NULL REFERENCES image_requests DEFERRABLE INITIALLY DEFERRED,
  version_id       uuid NOT NULL REFERENCES versions DEFERRABLE INITIALLY DEFERRED,
  created_at       timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (username, key)
);
COMMENT ON TABLE idempotency_keys IS 'What a create with a key has made, kept in its transaction and for at least 24 hours.';
COMMENT ON COLUMN idempotency_keys.input_hash IS 'SHA-256 of the operation and its input: the same key with another input is refused.';
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE tokens (
  id          uuid PRIMARY KEY,
  username    text COLLATE "C" NOT NULL CHECK (char_length(username) BETWEEN 1 AND 150),
  roles       text[] NOT NULL CHECK (cardinality(roles) BETWEEN 1 AND 4 AND array_ndims(roles) = 1
              AND roles <@ ARRAY['REQUESTER', 'REVIEWER', 'WORKER', 'ADMIN']),
  providers   integer[] CHECK (cardinality(providers) BETWEEN 1 AND 100 AND array_ndims(providers) = 1 AND array_position(providers, NULL) IS NULL),
  secret_hash bytea NOT NULL UNIQUE CHECK (octet_length(secret_hash) = 32),
  created_at  timestamptz NOT NULL CHECK (created_at >= '0001-01-01Z' AND created_at < '10000-01-01Z'),
  expires_at  timestamptz CHECK (expires_at >= '0001-01-01Z' AND expires_at < '10000-01-01Z'),
  revoked_at  timestamptz CHECK (revoked_at >= '0001-01-01Z' AND revoked_at < '10000-01-01Z'),
  read_only   boolean NOT NULL DEFAULT false,
  last_used_at timestamptz CHECK (last_used_at >= '0001-01-01Z' AND last_used_at < '10000-01-01Z')
);
COMMENT ON TABLE tokens IS 'Who may act as whom. The secret itself is never stored.';
COMMENT ON COLUMN tokens.providers IS 'What the roles of reviewer and worker are confined to; null: not confined.';
COMMENT ON COLUMN tokens.secret_hash IS 'SHA-256 of the secret, which is 256 random bits.';
COMMENT ON COLUMN tokens.read_only IS 'Whether its bearer may change nothing.';
COMMENT ON COLUMN tokens.last_used_at IS 'To the minute or so; null if it never was.';
CREATE INDEX tokens_by_age ON tokens (created_at, id);
