-- After load.sql and the indexes, once.
DROP TABLE dropped;
ALTER TABLE image_requests ENABLE TRIGGER ALL;
ALTER TABLE versions ENABLE TRIGGER ALL;
ALTER TABLE events ENABLE TRIGGER ALL;
