-- Searching took σ and ς, or µ (the sign) and μ (the letter), for different letters. imaging folds them since; here, once,
-- the texts that are stored. Each letter of the first list becomes the one in its place in the second.
UPDATE image_requests SET search_text = folded.text
FROM (
  SELECT id, translate(search_text,
    U&'\00b5\0131\017f\0345\03c2\03d0\03d1\03d5\03d6\03f0\03f1\03f5\1c80\1c81\1c82\1c83\1c84\1c85\1c86\1c87\1c88\1e9b\1fbe',
    U&'\03bc\0069\0073\03b9\03c3\03b2\03b8\03c6\03c0\03ba\03c1\03b5\0432\0434\043e\0441\0442\0442\044a\0463\a64b\1e61\03b9') AS text
  FROM image_requests
) AS folded
WHERE folded.id = image_requests.id AND folded.text <> image_requests.search_text;

COMMENT ON COLUMN image_requests.search_text IS 'Name, description and tags, one a line, in the letters that upper and lower case have in common.';
