-- Version 1 of the record store. Never edited once released: the SHA-256 of this text stands in every file it made.
-- Syntax up to SQLite 3.37, so that the sqlite3 of an old Debian opens the file.

CREATE TABLE migrations (
  version INTEGER PRIMARY KEY,
  sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
) STRICT;

-- What each entry's hash covers, and how to compute it by hand: docs/records.md.
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY CHECK (seq >= 1),
  kind TEXT NOT NULL CHECK (kind IN ('opened', 'erase_intent', 'bound', 'stamp_intent', 'verified', 'passed',
                                     'stopped', 'voided', 'disposed', 'measured')),
  mode TEXT NOT NULL CHECK (mode IN ('production', 'engineering', 'training')),
  station TEXT NOT NULL CHECK (length(station) BETWEEN 1 AND 64 AND instr(station, char(10)) = 0),
  run INTEGER CHECK (run BETWEEN 1 AND seq),
  serial TEXT CHECK (length(serial) BETWEEN 1 AND 32 AND instr(serial, char(10)) = 0),
  device TEXT CHECK (length(device) = 16 AND instr(device, char(10)) = 0),
  wall TEXT NOT NULL CHECK (length(wall) BETWEEN 20 AND 40 AND instr(wall, char(10)) = 0),
  mono INTEGER NOT NULL CHECK (mono >= 0),
  clock_back INTEGER NOT NULL CHECK (clock_back IN (0, 1)),
  body TEXT NOT NULL CHECK (json_valid(body) AND instr(body, char(10)) = 0),
  prev_hash BLOB NOT NULL CHECK (length(prev_hash) = 32),
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX entries_by_serial ON entries (serial, seq) WHERE serial IS NOT NULL;
CREATE INDEX entries_by_device ON entries (device, seq) WHERE device IS NOT NULL;
CREATE INDEX entries_endings ON entries (wall) WHERE kind IN ('passed', 'stopped');

-- Golden states by their SHA-256: what a device was measured against, kept so that it can be measured again.
CREATE TABLE goldens (
  digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
  bytes BLOB NOT NULL
) STRICT;

CREATE TRIGGER entries_follow BEFORE INSERT ON entries
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM entries)
  OR NEW.prev_hash IS NOT coalesce((SELECT hash FROM entries ORDER BY seq DESC LIMIT 1), zeroblob(32))
BEGIN SELECT RAISE(ABORT, 'an entry follows the last one'); END;

CREATE TRIGGER entries_stay BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'an entry is never changed'); END;

CREATE TRIGGER entries_remain BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;

CREATE TRIGGER goldens_stay BEFORE UPDATE ON goldens
BEGIN SELECT RAISE(ABORT, 'a golden state is never changed'); END;

CREATE TRIGGER goldens_remain BEFORE DELETE ON goldens
BEGIN SELECT RAISE(ABORT, 'a golden state is never removed'); END;

-- For people with a database browser. The program reads neither.
CREATE VIEW v_units AS
SELECT
  u.serial AS serial,
  (SELECT b.device FROM entries AS b WHERE b.serial = u.serial AND b.kind = 'bound'
   ORDER BY b.seq DESC LIMIT 1) AS device,
  (SELECT CASE e.kind
            WHEN 'passed' THEN 'PASS'
            WHEN 'stopped' THEN json_extract(e.body, '$.verdict')
            WHEN 'voided' THEN 'HOLD'
            WHEN 'disposed' THEN json_extract(e.body, '$.disposition')
            ELSE 'UNFINISHED' END
   FROM entries AS e
   WHERE e.serial = u.serial AND e.kind IN ('erase_intent', 'passed', 'stopped', 'voided', 'disposed')
   ORDER BY e.seq DESC LIMIT 1) AS last_word,
  sum(u.kind = 'erase_intent') AS runs,
  max(u.seq) AS last_entry
FROM entries AS u
WHERE u.serial IS NOT NULL
GROUP BY u.serial;

CREATE VIEW v_failures AS
SELECT
  seq, wall, serial, device, run,
  json_extract(body, '$.verdict') AS verdict,
  json_extract(body, '$.step') AS step,
  json_extract(body, '$.fault.code') AS code,
  json_extract(body, '$.fault.what') AS what
FROM entries
WHERE kind = 'stopped';
