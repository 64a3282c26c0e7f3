-- Before load.sql, once. Most of its time would go into looking up, for each row, the rows that it refers to.
ALTER TABLE image_requests DISABLE TRIGGER ALL, ENABLE TRIGGER USER;
ALTER TABLE versions DISABLE TRIGGER ALL, ENABLE TRIGGER USER;
ALTER TABLE events DISABLE TRIGGER ALL;
