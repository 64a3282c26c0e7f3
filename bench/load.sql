-- A chunk of made-up image requests, from number :from to number :to of :total, with their versions and events. Statements
-- of many rows, so that whatever keeps books beside the tables does so. The same numbers make the same rows.
BEGIN;
CREATE TEMP TABLE made ON COMMIT DROP AS
WITH drawn AS (
  SELECT n, md5(n::text) AS sum, timestamptz '2023-07-01Z' + interval '1095 days' * (n::float8 / :total) AS start_date,
    CASE -- of the newest version; only the newest requests are open
      WHEN n > :total * 0.99 AND pg_temp.draw(n, 1) < 0.5 THEN (ARRAY['PENDING', 'NEEDS_INFO', 'APPROVED'])[1 + floor(pg_temp.draw(n, 2) * 3)::int]
      WHEN pg_temp.draw(n, 1) < 0.03 THEN 'DENIED'
      WHEN pg_temp.draw(n, 1) < 0.05 THEN 'CANCELLED'
      WHEN pg_temp.draw(n, 1) < 0.07 THEN 'FAILED'
      ELSE 'COMPLETED' END AS status,
    CASE WHEN pg_temp.draw(n, 3) < 0.70 THEN 'PUBLIC' WHEN pg_temp.draw(n, 3) < 0.92 THEN 'PRIVATE' ELSE 'USERS' END AS visibility,
    CASE WHEN pg_temp.draw(n, 4) < 0.2 THEN pg_temp.person(floor(pg_temp.draw(n, 5) * 10)::int) -- ten of them ask for a fifth of all
      ELSE pg_temp.person(floor(pg_temp.draw(n, 5) * 10000)::int) END AS created_by,
    1 + (pg_temp.draw(n, 6) < 0.2)::int AS versions,
    pg_temp.draw(n, 7) < 0.1 AND n < :total * 0.95 AS retired,
    1 + floor(pg_temp.draw(n, 8) * 5)::int AS provider_id
  FROM generate_series(:from::bigint, :to::bigint) AS n
)
SELECT drawn.*, (lpad(to_hex(floor(extract(epoch FROM start_date) * 1000)::bigint), 12, '0') || '7' || substr(sum, 1, 3) || '8' || substr(sum, 4, 15))::uuid AS id,
  initcap(pg_temp.word(words, drawn.n, 9)) || ' ' || pg_temp.word(words, drawn.n, 10) || ' ' || drawn.n AS name,
  first.text || second.text || third.text
    || CASE WHEN pg_temp.draw(drawn.n, 14) < 0.15 THEN 'Made on a workbench. ' ELSE '' END
    || CASE WHEN drawn.n % 100000 = 77 THEN 'It flies like a zeppelin. ' ELSE '' END
    || 'Codename ' || substr(sum, 20, 8) AS description,
  (ARRAY[pg_temp.word(words, drawn.n, 15), pg_temp.word(words, drawn.n, 16), pg_temp.word(words, drawn.n, 17), pg_temp.word(words, drawn.n, 18)])[1:floor(pg_temp.draw(drawn.n, 19) * 5)::int] AS tags,
  CASE WHEN visibility = 'USERS' THEN ARRAY[pg_temp.person(floor(pg_temp.draw(drawn.n, 20) * 10000)::int), pg_temp.person(10000 + floor(pg_temp.draw(drawn.n, 21) * 100)::int)]
    ELSE '{}' END AS shared_with,
  (SELECT count(*) FROM path WHERE path.status = drawn.status)::int + 4 * (versions - 1) + retired::int AS revision
FROM drawn CROSS JOIN vocabulary
JOIN sentences AS first ON first.n = floor(pg_temp.draw(drawn.n, 11) * 1000)
JOIN sentences AS second ON second.n = floor(pg_temp.draw(drawn.n, 12) * 1000)
JOIN sentences AS third ON third.n = floor(pg_temp.draw(drawn.n, 13) * 1000);

INSERT INTO image_requests (id, name, icon, description, tags, created_by, visibility, shared_with, start_date, end_date, revision,
  status, instance, provider_id, search_text)
SELECT id, name, CASE WHEN n % 3 = 0 THEN 'https://icons.example.org/' || n % 50 || '.png' END, description, tags, created_by, visibility, shared_with, start_date,
  CASE WHEN pg_temp.draw(n, 22) < 0.005 THEN timestamptz '2030-01-01Z' WHEN retired THEN start_date + interval '30 days' * pg_temp.draw(n, 22) END, revision,
  status, pg_temp.instance(n, versions), provider_id, ' ' || replace(lower(array_to_string(ARRAY[name, description] || tags, ' ')), '.', 'QCO ')
FROM made ORDER BY n;

INSERT INTO versions (id, image_request_id, ordinal, alias, version, change_log, instance, ip_address, provider_id, software, sys, exclude,
  requested_by, authors, start_date, end_date, status, name, visibility, decided_by, decided_at, decision, questioned_by, questioned_at, question,
  attempt, imaging_started, imaging_ended, failure_code, failure_message, failure_retryable)
SELECT v.id, made.id, ordinal, CASE WHEN state = 'COMPLETED' THEN 'img-' || md5(v.id::text) ELSE v.id::text END, ordinal::text, '', pg_temp.instance(n, ordinal),
  '10.' || n % 250 || '.' || n / 250 % 250 || '.7', provider_id, 'R 4.3, Python 3.11, ' || md5(n::text), '/etc', E'/tmp\n/home/*/.cache',
  created_by, ARRAY[created_by], begins, CASE WHEN state IN ('DENIED', 'CANCELLED', 'FAILED') THEN begins + interval '2 hours' END, state, name, visibility,
  CASE WHEN state IN ('DENIED', 'APPROVED', 'FAILED', 'COMPLETED') THEN 'reviewer' END, CASE WHEN state IN ('DENIED', 'APPROVED', 'FAILED', 'COMPLETED') THEN begins + interval '1 hour' END,
  CASE WHEN state = 'DENIED' THEN 'Too large.' END,
  CASE WHEN state = 'NEEDS_INFO' THEN 'reviewer' END, CASE WHEN state = 'NEEDS_INFO' THEN begins + interval '1 hour' END, CASE WHEN state = 'NEEDS_INFO' THEN 'What for?' END,
  (state IN ('FAILED', 'COMPLETED'))::int, CASE WHEN state IN ('FAILED', 'COMPLETED') THEN begins + interval '90 minutes' END, CASE WHEN state IN ('FAILED', 'COMPLETED') THEN begins + interval '2 hours' END,
  CASE WHEN state = 'FAILED' THEN 'DISK_FULL' END, CASE WHEN state = 'FAILED' THEN 'The disk is full.' END, CASE WHEN state = 'FAILED' THEN true END
FROM made CROSS JOIN LATERAL generate_series(1, versions) AS ordinal
CROSS JOIN LATERAL (SELECT pg_temp.version(made.id, ordinal) AS id, start_date + interval '5 days' * (ordinal - 1) AS begins,
  CASE WHEN ordinal = versions THEN made.status ELSE 'COMPLETED' END AS state) AS v
ORDER BY n, 3;

INSERT INTO events (xid, image_request_id, version_id, seq, at, actor, action, from_status, to_status, changes)
SELECT pg_current_xact_id()::text::bigint, made.id, pg_temp.version(made.id, ordinal), step + 4 * (ordinal - 1), start_date + interval '5 days' * (ordinal - 1) + interval '30 minutes' * (step - 1),
  CASE WHEN action IN ('REQUESTED', 'CANCELLED') THEN created_by WHEN action IN ('APPROVED', 'DENIED', 'QUESTIONED') THEN 'reviewer' ELSE 'worker' END,
  CASE WHEN step = 1 AND ordinal = 2 THEN 'VERSION_REQUESTED' ELSE action END, from_status, to_status,
  jsonb_build_object('status', jsonb_build_object('from', from_status, 'to', to_status))
FROM made CROSS JOIN LATERAL generate_series(1, versions) AS ordinal
JOIN path ON path.status = CASE WHEN ordinal = versions THEN made.status ELSE 'COMPLETED' END
UNION ALL
SELECT pg_current_xact_id()::text::bigint, id, NULL, revision, start_date + interval '30 days', created_by, 'EDITED', NULL, NULL, '{"endDate": {"from": null, "to": "2024-01-01T00:00:00Z"}}'
FROM made WHERE retired
ORDER BY 2, 4;
COMMIT;
