CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

CREATE FUNCTION public.count_image_requests() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.count_slot() RETURNS integer
    LANGUAGE plpgsql
    AS $$
BEGIN
  FOR slot IN 0..15 LOOP
    IF pg_try_advisory_xact_lock(1129270868, slot) THEN
      RETURN slot;
    END IF;
  END LOOP;
  PERFORM pg_advisory_xact_lock(1129270868, pg_backend_pid() % 16);
  RETURN pg_backend_pid() % 16;
END $$;

CREATE FUNCTION public.count_versions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.follow_image_request() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  UPDATE versions SET name = NEW.name, visibility = NEW.visibility WHERE image_request_id = NEW.id AND (name, visibility) <> (NEW.name, NEW.visibility);
  RETURN NULL;
END $$;

CREATE FUNCTION public.place_event() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  RAISE EXCEPTION 'events are never changed' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TABLE public.counts (
    of text NOT NULL COLLATE pg_catalog."C",
    span text NOT NULL COLLATE pg_catalog."C",
    since date NOT NULL,
    visibility text NOT NULL COLLATE pg_catalog."C",
    status text NOT NULL COLLATE pg_catalog."C",
    provider_id integer NOT NULL,
    dated boolean NOT NULL,
    slot integer NOT NULL,
    n bigint NOT NULL,
    CONSTRAINT counts_of_check CHECK ((of = ANY (ARRAY['image_requests'::text, 'versions'::text]))),
    CONSTRAINT counts_span_check CHECK ((span = ANY (ARRAY['ALL'::text, 'MONTH'::text, 'DAY'::text, 'END'::text])))
)
WITH (fillfactor='70');

COMMENT ON TABLE public.counts IS 'How many rows the tables have, kept in the transactions that change them: the sum of n over all slots. Lists are counted, and their pages found, without a look at their rows.';

COMMENT ON COLUMN public.counts.span IS 'Which start dates are counted: all of them (for versions, only that), those of a month, or of a day, by UTC. END: which end dates, those of a day.';

COMMENT ON COLUMN public.counts.since IS 'The first day of the span.';

COMMENT ON COLUMN public.counts.dated IS 'Whether they have an end date; whether that has come, only the time can tell.';

COMMENT ON COLUMN public.counts.slot IS 'Writers do not wait for each other: each takes a slot of its own. A slot by itself means nothing, and may be below zero.';

CREATE TABLE public.events (
    id bigint NOT NULL,
    xid bigint NOT NULL,
    image_request_id uuid,
    version_id uuid,
    seq integer,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    from_status text COLLATE pg_catalog."C",
    to_status text COLLATE pg_catalog."C",
    message text,
    changes jsonb NOT NULL,
    CONSTRAINT events_action_check CHECK (((char_length(action) >= 1) AND (char_length(action) <= 64))),
    CONSTRAINT events_actor_check CHECK ((char_length(actor) <= 150)),
    CONSTRAINT events_at_check CHECK (((at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT events_changes_check CHECK ((jsonb_typeof(changes) = 'object'::text)),
    CONSTRAINT events_from_status_check CHECK ((from_status = ANY (ARRAY['PENDING'::text, 'NEEDS_INFO'::text, 'DENIED'::text, 'CANCELLED'::text, 'APPROVED'::text, 'IMAGING'::text, 'COMPLETED'::text, 'FAILED'::text]))),
    CONSTRAINT events_message_check CHECK ((char_length(message) <= 16384)),
    CONSTRAINT events_seq_check CHECK ((seq >= 1)),
    CONSTRAINT events_to_status_check CHECK ((to_status = ANY (ARRAY['PENDING'::text, 'NEEDS_INFO'::text, 'DENIED'::text, 'CANCELLED'::text, 'APPROVED'::text, 'IMAGING'::text, 'COMPLETED'::text, 'FAILED'::text]))),
    CONSTRAINT events_with_a_request_have_a_number CHECK (((image_request_id IS NULL) = (seq IS NULL)))
);

COMMENT ON TABLE public.events IS 'What happened, written in the transaction that changed the state, never changed itself.';

COMMENT ON COLUMN public.events.xid IS 'With id its place in the stream: the transaction that wrote it, or a later one if that wrote the event before it of its request. Readers go up to the oldest transaction that still runs, so that none is passed over. Negative in a restored database.';

COMMENT ON COLUMN public.events.seq IS 'Without a gap within an image request; null for providers and tokens.';

COMMENT ON COLUMN public.events.actor IS 'A user name; empty for the service itself.';

COMMENT ON COLUMN public.events.changes IS 'Each field that changed, with what it was and what it is.';

ALTER TABLE public.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.idempotency_keys (
    username text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    input_hash bytea NOT NULL,
    image_request_id uuid NOT NULL,
    version_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_keys_input_hash_check CHECK ((octet_length(input_hash) = 32)),
    CONSTRAINT idempotency_keys_key_check CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255))),
    CONSTRAINT idempotency_keys_username_check CHECK (((char_length(username) >= 1) AND (char_length(username) <= 150)))
);

COMMENT ON TABLE public.idempotency_keys IS 'What a create with a key has made, kept in its transaction and for at least 24 hours.';

COMMENT ON COLUMN public.idempotency_keys.input_hash IS 'SHA-256 of the operation and its input: the same key with another input is refused.';

CREATE TABLE public.image_requests (
    id uuid NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    icon text,
    description text NOT NULL,
    tags text[] NOT NULL,
    created_by text NOT NULL COLLATE pg_catalog."C",
    visibility text NOT NULL COLLATE pg_catalog."C",
    shared_with text[] NOT NULL COLLATE pg_catalog."C",
    start_date timestamp with time zone NOT NULL,
    end_date timestamp with time zone,
    revision integer NOT NULL,
    reports integer DEFAULT 0 NOT NULL,
    status text NOT NULL COLLATE pg_catalog."C",
    instance uuid NOT NULL,
    provider_id integer NOT NULL,
    search_text text NOT NULL COLLATE pg_catalog."C",
    shared_since integer DEFAULT 1 NOT NULL,
    CONSTRAINT image_requests_created_by_check CHECK (((char_length(created_by) >= 1) AND (char_length(created_by) <= 150))),
    CONSTRAINT image_requests_dates_can_be_read_back CHECK (((start_date >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (start_date < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (end_date >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (end_date < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT image_requests_description_check CHECK ((char_length(description) <= 16384)),
    CONSTRAINT image_requests_end_after_they_start CHECK ((end_date >= start_date)),
    CONSTRAINT image_requests_icon_check CHECK (((char_length(icon) >= 1) AND (char_length(icon) <= 1024))),
    CONSTRAINT image_requests_name_check CHECK ((((char_length(name) >= 1) AND (char_length(name) <= 256)) AND (name = btrim(name)))),
    CONSTRAINT image_requests_reports_check CHECK ((reports >= 0)),
    CONSTRAINT image_requests_revision_check CHECK ((revision >= 1)),
    CONSTRAINT image_requests_search_text_check CHECK ((char_length(search_text) <= 262144)),
    CONSTRAINT image_requests_shared_since_check CHECK ((shared_since >= 1)),
    CONSTRAINT image_requests_shared_with_is_a_list CHECK (((COALESCE(array_ndims(shared_with), 1) = 1) AND (cardinality(shared_with) <= 200) AND (array_position(shared_with, NULL::text) IS NULL) AND (char_length(array_to_string(shared_with, ''::text)) <= (200 * 150)))),
    CONSTRAINT image_requests_shared_with_users_only CHECK (((visibility = 'USERS'::text) = (cardinality(shared_with) > 0))),
    CONSTRAINT image_requests_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'NEEDS_INFO'::text, 'DENIED'::text, 'CANCELLED'::text, 'APPROVED'::text, 'IMAGING'::text, 'COMPLETED'::text, 'FAILED'::text]))),
    CONSTRAINT image_requests_tags_are_a_list CHECK (((COALESCE(array_ndims(tags), 1) = 1) AND (cardinality(tags) <= 64) AND (array_position(tags, NULL::text) IS NULL) AND (char_length(array_to_string(tags, ''::text)) <= (64 * 128)))),
    CONSTRAINT image_requests_visibility_check CHECK ((visibility = ANY (ARRAY['PUBLIC'::text, 'PRIVATE'::text, 'USERS'::text])))
);

COMMENT ON TABLE public.image_requests IS 'Images that somebody asked for. A lock on the row orders all that happens to it and its versions.';

COMMENT ON COLUMN public.image_requests.shared_with IS 'Exact user names; not empty with visibility USERS, and only then.';

COMMENT ON COLUMN public.image_requests.end_date IS 'When it was retired, or will be.';

COMMENT ON COLUMN public.image_requests.revision IS 'Counts the changes but for the reports of workers.';

COMMENT ON COLUMN public.image_requests.reports IS 'Counts the reports of workers: with revision, the seq of its newest event.';

COMMENT ON COLUMN public.image_requests.status IS 'Of the newest version, kept here for lists.';

COMMENT ON COLUMN public.image_requests.instance IS 'Of the newest version, kept here for lists.';

COMMENT ON COLUMN public.image_requests.provider_id IS 'Of the newest version, kept here for lists.';

COMMENT ON COLUMN public.image_requests.search_text IS 'Name, description and tags in the letters that upper and lower case have in common, and each sign in capitals (imaging/search.go).';

COMMENT ON COLUMN public.image_requests.shared_since IS 'The seq of the newest event that changed who may see it.';

CREATE TABLE public.providers (
    id integer NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    active boolean NOT NULL,
    auto_approve boolean NOT NULL,
    CONSTRAINT providers_id_check CHECK ((id >= 1)),
    CONSTRAINT providers_name_check CHECK (((char_length(name) >= 1) AND (char_length(name) <= 256)))
);

COMMENT ON TABLE public.providers IS 'Clouds, or parts of one, that images are made for. Never deleted: set inactive.';

COMMENT ON COLUMN public.providers.active IS 'Whether it takes new requests.';

COMMENT ON COLUMN public.providers.auto_approve IS 'Whether its versions are approved without a reviewer.';

CREATE TABLE public.schema_migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum bytea NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.schema_migrations IS 'The steps that made this schema.';

CREATE TABLE public.tokens (
    id uuid NOT NULL,
    username text NOT NULL COLLATE pg_catalog."C",
    roles text[] NOT NULL,
    providers integer[],
    secret_hash bytea NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    read_only boolean DEFAULT false NOT NULL,
    last_used_at timestamp with time zone,
    CONSTRAINT tokens_created_at_check CHECK (((created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (created_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT tokens_expires_at_check CHECK (((expires_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (expires_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT tokens_last_used_at_check CHECK (((last_used_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (last_used_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT tokens_providers_check CHECK ((((cardinality(providers) >= 1) AND (cardinality(providers) <= 100)) AND (array_ndims(providers) = 1) AND (array_position(providers, NULL::integer) IS NULL))),
    CONSTRAINT tokens_revoked_at_check CHECK (((revoked_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (revoked_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT tokens_roles_check CHECK ((((cardinality(roles) >= 1) AND (cardinality(roles) <= 4)) AND (array_ndims(roles) = 1) AND (roles <@ ARRAY['REQUESTER'::text, 'REVIEWER'::text, 'WORKER'::text, 'ADMIN'::text]))),
    CONSTRAINT tokens_secret_hash_check CHECK ((octet_length(secret_hash) = 32)),
    CONSTRAINT tokens_username_check CHECK (((char_length(username) >= 1) AND (char_length(username) <= 150)))
);

COMMENT ON TABLE public.tokens IS 'Who may act as whom. The secret itself is never stored.';

COMMENT ON COLUMN public.tokens.providers IS 'What the roles of reviewer and worker are confined to; null: not confined.';

COMMENT ON COLUMN public.tokens.secret_hash IS 'SHA-256 of the secret, which is 256 random bits.';

COMMENT ON COLUMN public.tokens.read_only IS 'Whether its bearer may change nothing.';

COMMENT ON COLUMN public.tokens.last_used_at IS 'To the minute or so; null if it never was.';

CREATE TABLE public.versions (
    id uuid NOT NULL,
    image_request_id uuid NOT NULL,
    ordinal integer NOT NULL,
    alias text NOT NULL COLLATE pg_catalog."C",
    version text NOT NULL COLLATE pg_catalog."C",
    change_log text NOT NULL,
    instance uuid NOT NULL,
    ip_address text,
    provider_id integer NOT NULL,
    software text NOT NULL,
    sys text NOT NULL,
    exclude text NOT NULL,
    requested_by text NOT NULL COLLATE pg_catalog."C",
    authors text[] NOT NULL COLLATE pg_catalog."C",
    start_date timestamp with time zone NOT NULL,
    end_date timestamp with time zone,
    status text NOT NULL COLLATE pg_catalog."C",
    name text NOT NULL COLLATE pg_catalog."C",
    visibility text NOT NULL COLLATE pg_catalog."C",
    decided_by text COLLATE pg_catalog."C",
    decided_at timestamp with time zone,
    decision text,
    questioned_by text COLLATE pg_catalog."C",
    questioned_at timestamp with time zone,
    question text,
    answered_at timestamp with time zone,
    answer text,
    attempt integer DEFAULT 0 NOT NULL,
    stage text,
    percent smallint,
    cancel_requested boolean DEFAULT false NOT NULL,
    excluded text[],
    imaging_started timestamp with time zone,
    imaging_ended timestamp with time zone,
    lease_token uuid,
    lease_seconds integer,
    lease_holder text COLLATE pg_catalog."C",
    lease_expires_at timestamp with time zone,
    ended_lease uuid,
    failure_code text COLLATE pg_catalog."C",
    failure_message text,
    failure_detail text,
    failure_retryable boolean,
    CONSTRAINT versions_alias_check CHECK (((char_length(alias) >= 1) AND (char_length(alias) <= 256))),
    CONSTRAINT versions_alias_is_the_id_until_the_image_exists CHECK (((status = 'COMPLETED'::text) OR (alias = (id)::text))),
    CONSTRAINT versions_answer_check CHECK ((char_length(answer) <= 16384)),
    CONSTRAINT versions_approved_by_a_decision CHECK (((status <> ALL (ARRAY['APPROVED'::text, 'IMAGING'::text, 'COMPLETED'::text])) OR (decided_at IS NOT NULL))),
    CONSTRAINT versions_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT versions_authors_are_a_list CHECK (((array_ndims(authors) = 1) AND (array_position(authors, NULL::text) IS NULL) AND (requested_by = ANY (authors)))),
    CONSTRAINT versions_change_log_check CHECK ((char_length(change_log) <= 16384)),
    CONSTRAINT versions_dates_can_be_read_back CHECK (((start_date >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (start_date < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (end_date >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (end_date < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (decided_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (decided_at < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (questioned_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (questioned_at < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (answered_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (answered_at < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (imaging_started >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (imaging_started < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (imaging_ended >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (imaging_ended < '10000-01-01 00:00:00+00'::timestamp with time zone) AND (lease_expires_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (lease_expires_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT versions_decided_by_check CHECK (((char_length(decided_by) >= 1) AND (char_length(decided_by) <= 150))),
    CONSTRAINT versions_decision_check CHECK ((char_length(decision) <= 16384)),
    CONSTRAINT versions_denied_for_a_reason CHECK (((status <> 'DENIED'::text) OR ((decided_by IS NOT NULL) AND (decided_at IS NOT NULL) AND (decision IS NOT NULL) AND (decision <> ''::text)))),
    CONSTRAINT versions_end_after_they_start CHECK ((end_date >= start_date)),
    CONSTRAINT versions_end_with_their_status CHECK (((status <> ALL (ARRAY['DENIED'::text, 'CANCELLED'::text, 'FAILED'::text])) OR (end_date IS NOT NULL))),
    CONSTRAINT versions_exclude_check CHECK ((char_length(exclude) <= 16384)),
    CONSTRAINT versions_excluded_is_a_list CHECK (((COALESCE(array_ndims(excluded), 1) = 1) AND (cardinality(excluded) <= 16384) AND (array_position(excluded, NULL::text) IS NULL))),
    CONSTRAINT versions_failed_for_a_reason CHECK (((status <> 'FAILED'::text) OR ((failure_code IS NOT NULL) AND (failure_message IS NOT NULL) AND (failure_retryable IS NOT NULL)))),
    CONSTRAINT versions_failure_code_check CHECK (((char_length(failure_code) >= 1) AND (char_length(failure_code) <= 64))),
    CONSTRAINT versions_failure_detail_check CHECK ((char_length(failure_detail) <= 65536)),
    CONSTRAINT versions_failure_message_check CHECK (((char_length(failure_message) >= 1) AND (char_length(failure_message) <= 16384))),
    CONSTRAINT versions_ip_address_check CHECK ((char_length(ip_address) <= 255)),
    CONSTRAINT versions_lease_holder_check CHECK (((char_length(lease_holder) >= 1) AND (char_length(lease_holder) <= 150))),
    CONSTRAINT versions_lease_seconds_check CHECK (((lease_seconds >= 10) AND (lease_seconds <= 3600))),
    CONSTRAINT versions_leased_while_imaging CHECK (
CASE
    WHEN (status = 'IMAGING'::text) THEN ((lease_token IS NOT NULL) AND (lease_holder IS NOT NULL) AND (lease_seconds IS NOT NULL) AND (lease_expires_at IS NOT NULL))
    ELSE ((lease_token IS NULL) AND (lease_holder IS NULL) AND (lease_seconds IS NULL) AND (lease_expires_at IS NULL))
END),
    CONSTRAINT versions_open_without_an_end CHECK (((status <> ALL (ARRAY['PENDING'::text, 'NEEDS_INFO'::text, 'APPROVED'::text, 'IMAGING'::text])) OR (end_date IS NULL))),
    CONSTRAINT versions_ordinal_check CHECK ((ordinal >= 1)),
    CONSTRAINT versions_percent_check CHECK (((percent >= 0) AND (percent <= 100))),
    CONSTRAINT versions_question_check CHECK (((char_length(question) >= 1) AND (char_length(question) <= 16384))),
    CONSTRAINT versions_questioned_by_check CHECK (((char_length(questioned_by) >= 1) AND (char_length(questioned_by) <= 150))),
    CONSTRAINT versions_questioned_with_a_question CHECK (((status <> 'NEEDS_INFO'::text) OR ((question IS NOT NULL) AND (questioned_by IS NOT NULL) AND (questioned_at IS NOT NULL)))),
    CONSTRAINT versions_requested_by_check CHECK (((char_length(requested_by) >= 1) AND (char_length(requested_by) <= 150))),
    CONSTRAINT versions_software_check CHECK ((char_length(software) <= 16384)),
    CONSTRAINT versions_stage_check CHECK ((char_length(stage) <= 256)),
    CONSTRAINT versions_status_check CHECK ((status = ANY (ARRAY['PENDING'::text, 'NEEDS_INFO'::text, 'DENIED'::text, 'CANCELLED'::text, 'APPROVED'::text, 'IMAGING'::text, 'COMPLETED'::text, 'FAILED'::text]))),
    CONSTRAINT versions_stopped_while_imaging CHECK (((status = 'IMAGING'::text) OR (NOT cancel_requested))),
    CONSTRAINT versions_sys_check CHECK ((char_length(sys) <= 16384)),
    CONSTRAINT versions_version_check CHECK (((char_length(version) >= 1) AND (char_length(version) <= 64))),
    CONSTRAINT versions_without_a_failure_but_failed CHECK (((status = ANY (ARRAY['FAILED'::text, 'CANCELLED'::text])) OR (num_nonnulls(failure_code, failure_message, failure_detail, failure_retryable) = 0)))
);

COMMENT ON TABLE public.versions IS 'Imagings of one instance on one provider, with their life cycle.';

COMMENT ON COLUMN public.versions.ordinal IS 'Place within the request, from 1; the highest is the newest.';

COMMENT ON COLUMN public.versions.alias IS 'The name under which the provider knows the image; the id of the version until there is an image.';

COMMENT ON COLUMN public.versions.version IS 'The label.';

COMMENT ON COLUMN public.versions.ip_address IS 'Named by the client, never relied upon.';

COMMENT ON COLUMN public.versions.requested_by IS 'Who asked for it, whoever owns the request by now.';

COMMENT ON COLUMN public.versions.authors IS 'Who asked for it or changed what it is made of: they never decide on it.';

COMMENT ON COLUMN public.versions.name IS 'Of the request, kept here for lists.';

COMMENT ON COLUMN public.versions.visibility IS 'Of the request, kept here for the counts of lists.';

COMMENT ON COLUMN public.versions.decided_by IS 'Null where the provider approved by itself.';

COMMENT ON COLUMN public.versions.attempt IS 'How often a worker has begun it.';

COMMENT ON COLUMN public.versions.excluded IS 'The paths of exclude that the imager found and left out.';

COMMENT ON COLUMN public.versions.lease_token IS 'Known to the worker that images it; each of its writes must show it.';

COMMENT ON COLUMN public.versions.lease_expires_at IS 'By the clock of the database.';

COMMENT ON COLUMN public.versions.ended_lease IS 'With which a worker ended it last: the same word sent again is answered the same.';

COMMENT ON COLUMN public.versions.failure_detail IS 'For staff.';

ALTER TABLE ONLY public.counts
    ADD CONSTRAINT counts_pkey PRIMARY KEY (of, span, visibility, dated, since, status, provider_id, slot);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_of_a_request_are_numbered UNIQUE (image_request_id, seq);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (username, key);

ALTER TABLE ONLY public.image_requests
    ADD CONSTRAINT image_requests_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_name_key UNIQUE (name);

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.tokens
    ADD CONSTRAINT tokens_secret_hash_key UNIQUE (secret_hash);

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_alias_is_unique UNIQUE (provider_id, alias);

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_label_is_unique UNIQUE (image_request_id, version);

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_ordinal_key UNIQUE (image_request_id, ordinal) INCLUDE (start_date, status, id);

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_pkey PRIMARY KEY (id);

CREATE INDEX events_in_order ON public.events USING btree (xid, id);

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE INDEX image_requests_by_end_date ON public.image_requests USING btree (end_date) INCLUDE (start_date, visibility, status, provider_id) WHERE (end_date IS NOT NULL);

CREATE INDEX image_requests_by_instance ON public.image_requests USING btree (instance);

CREATE INDEX image_requests_by_name ON public.image_requests USING btree (name, id);

CREATE INDEX image_requests_by_owner ON public.image_requests USING btree (created_by, visibility, start_date, id) INCLUDE (end_date);

CREATE INDEX image_requests_by_search ON public.image_requests USING gin (search_text public.gin_trgm_ops) WITH (gin_pending_list_limit='1024');

CREATE INDEX image_requests_by_shared_with ON public.image_requests USING gin (shared_with);

CREATE INDEX image_requests_by_start_date ON public.image_requests USING btree (start_date, id);

CREATE INDEX image_requests_by_status ON public.image_requests USING btree (status, start_date, id);

CREATE INDEX image_requests_by_status_and_name ON public.image_requests USING btree (status, name, id);

CREATE INDEX image_requests_by_tag ON public.image_requests USING gin (tags);

CREATE INDEX image_requests_for_everybody ON public.image_requests USING btree (start_date, id) WHERE (visibility = 'PUBLIC'::text);

CREATE INDEX image_requests_of_provider ON public.image_requests USING btree (provider_id, start_date, id);

CREATE INDEX image_requests_with_end_by_name ON public.image_requests USING btree (name, id) WHERE (end_date IS NOT NULL);

CREATE INDEX image_requests_with_end_by_start_date ON public.image_requests USING btree (start_date, id) WHERE (end_date IS NOT NULL);

CREATE INDEX image_requests_with_end_by_status ON public.image_requests USING btree (status, start_date, id) WHERE (end_date IS NOT NULL);

CREATE INDEX tokens_by_age ON public.tokens USING btree (created_at, id);

CREATE INDEX versions_by_end_date ON public.versions USING btree (end_date) WHERE (end_date IS NOT NULL);

CREATE INDEX versions_by_instance ON public.versions USING btree (instance);

CREATE INDEX versions_by_lease ON public.versions USING btree (lease_expires_at) WHERE (status = 'IMAGING'::text);

CREATE INDEX versions_by_name ON public.versions USING btree (name, id) INCLUDE (image_request_id, visibility, status, provider_id, start_date, end_date);

CREATE INDEX versions_by_start_date ON public.versions USING btree (start_date, id);

CREATE INDEX versions_by_status ON public.versions USING btree (status, start_date, id);

CREATE INDEX versions_by_status_and_name ON public.versions USING btree (status, name, id);

CREATE INDEX versions_in_queue ON public.versions USING btree (status, provider_id, start_date, id);

CREATE UNIQUE INDEX versions_one_open_per_instance ON public.versions USING btree (instance) WHERE (status = ANY (ARRAY['PENDING'::text, 'NEEDS_INFO'::text, 'APPROVED'::text, 'IMAGING'::text]));

CREATE INDEX versions_with_end_by_name ON public.versions USING btree (name, id) INCLUDE (image_request_id, visibility, status, provider_id, start_date, end_date) WHERE (end_date IS NOT NULL);

CREATE INDEX versions_with_end_by_start_date ON public.versions USING btree (start_date, id) WHERE (end_date IS NOT NULL);

CREATE INDEX versions_with_end_by_status ON public.versions USING btree (status, start_date, id) INCLUDE (image_request_id, visibility, provider_id, end_date) WHERE (end_date IS NOT NULL);

CREATE TRIGGER events_are_append_only BEFORE DELETE OR UPDATE ON public.events FOR EACH ROW EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER events_are_not_emptied BEFORE TRUNCATE ON public.events FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER events_have_their_place BEFORE INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.place_event();

CREATE TRIGGER image_requests_added AFTER INSERT ON public.image_requests REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.count_image_requests();

CREATE TRIGGER image_requests_changed AFTER UPDATE ON public.image_requests REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.count_image_requests();

CREATE TRIGGER image_requests_removed AFTER DELETE ON public.image_requests REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.count_image_requests();

CREATE TRIGGER versions_added AFTER INSERT ON public.versions REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.count_versions();

CREATE TRIGGER versions_changed AFTER UPDATE ON public.versions REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.count_versions();

CREATE TRIGGER versions_follow_their_request AFTER UPDATE OF name, visibility ON public.image_requests FOR EACH ROW WHEN (((old.name IS DISTINCT FROM new.name) OR (old.visibility IS DISTINCT FROM new.visibility))) EXECUTE FUNCTION public.follow_image_request();

CREATE TRIGGER versions_removed AFTER DELETE ON public.versions REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.count_versions();

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_image_request_id_fkey FOREIGN KEY (image_request_id) REFERENCES public.image_requests(id);

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.versions(id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_image_request_id_fkey FOREIGN KEY (image_request_id) REFERENCES public.image_requests(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_version_id_fkey FOREIGN KEY (version_id) REFERENCES public.versions(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.image_requests
    ADD CONSTRAINT image_requests_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_image_request_id_fkey FOREIGN KEY (image_request_id) REFERENCES public.image_requests(id);

ALTER TABLE ONLY public.versions
    ADD CONSTRAINT versions_provider_id_fkey FOREIGN KEY (provider_id) REFERENCES public.providers(id);
