-- What load.sql is made of, for one session.

CREATE FUNCTION pg_temp.draw(n bigint, salt int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8extended(n, salt) & 16777215) / 16777216.0::float8 $$;
CREATE FUNCTION pg_temp.person(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'user-' || lpad(n::text, 5, '0') $$;
CREATE FUNCTION pg_temp.instance(n bigint, ordinal int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT md5(n || ' ' || ordinal)::uuid $$;
CREATE FUNCTION pg_temp.version(request uuid, ordinal int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (substr(request::text, 1, 23) || '-' || substr(md5(request::text || ordinal), 1, 12))::uuid $$;

CREATE TEMP TABLE vocabulary AS SELECT string_to_array(
  'ubuntu debian fedora server desktop cluster compute node image python julia notebook kernel driver gpu cuda tensor library toolchain compiler '
  'storage volume snapshot backup restore network bridge gateway proxy cache database index queue worker scheduler monitor metrics logging tracing security '
  'hardened minimal full stable testing nightly release candidate genomics imaging astronomy climate physics chemistry biology statistics finance survey geodata mapping '
  'teaching course seminar student research group laboratory institute department shared public private internal external partner project pipeline workflow batch '
  'interactive remote console terminal editor browser office document report figure plot model simulation solver mesh render video audio speech language '
  'with without for and the of on in from large small fast slow recent legacy updated configured patched', ' ') AS words;
CREATE FUNCTION pg_temp.word(words text[], n bigint, salt int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ -- the first ones more often
  SELECT words[1 + floor(pg_temp.draw(n, salt) * pg_temp.draw(n, salt + 100) * array_length(words, 1))::int] $$;

CREATE TEMP TABLE sentences AS
SELECT n, initcap(pg_temp.word(words, n, 1)) || ' ' || string_agg(words[1 + floor(pg_temp.draw(n, 1000 + i) * array_length(words, 1))::int], ' ' ORDER BY i) || '. ' AS text
FROM vocabulary, generate_series(0, 999) AS n, generate_series(1, 14) AS i GROUP BY n, words;
ANALYZE sentences;

CREATE TEMP TABLE path (status text, step int, action text, from_status text, to_status text);
INSERT INTO path SELECT status, 1, 'REQUESTED', NULL, 'PENDING' FROM unnest(ARRAY['PENDING', 'NEEDS_INFO', 'DENIED', 'CANCELLED', 'APPROVED', 'FAILED', 'COMPLETED']) AS status;
INSERT INTO path SELECT status, 2, 'APPROVED', 'PENDING', 'APPROVED' FROM unnest(ARRAY['APPROVED', 'FAILED', 'COMPLETED']) AS status;
INSERT INTO path SELECT status, 3, 'CLAIMED', 'APPROVED', 'IMAGING' FROM unnest(ARRAY['FAILED', 'COMPLETED']) AS status;
INSERT INTO path VALUES ('NEEDS_INFO', 2, 'QUESTIONED', 'PENDING', 'NEEDS_INFO'), ('DENIED', 2, 'DENIED', 'PENDING', 'DENIED'), ('CANCELLED', 2, 'CANCELLED', 'PENDING', 'CANCELLED'),
  ('FAILED', 4, 'FAILED', 'IMAGING', 'FAILED'), ('COMPLETED', 4, 'COMPLETED', 'IMAGING', 'COMPLETED');

INSERT INTO providers (id, name, active, auto_approve) SELECT n, 'Cloud ' || n, true, n = 5 FROM generate_series(1, 5) AS n ON CONFLICT DO NOTHING;
