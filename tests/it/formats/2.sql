-- A spool of format 2, as graph-relay of 22 November 2026 left it.
CREATE TABLE entry (
    id           TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    accepted_at  INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    ended_at     INTEGER,
    account      TEXT,
    mailbox      TEXT,
    reverse_path TEXT NOT NULL,
    author       TEXT,
    utf8         INTEGER NOT NULL,
    client       TEXT NOT NULL,
    hello        TEXT NOT NULL,
    protocol     TEXT NOT NULL,
    size         INTEGER NOT NULL,
    in_file      INTEGER NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    -- Since when it is deferred for another reason than the configuration.
    trouble_since INTEGER,
    reason       TEXT,
    -- Who authenticated.
    user         TEXT,
    -- The only account that may send it.
    bound        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_due ON entry (account, mailbox, due_at) WHERE state = 'waiting';
CREATE INDEX entry_open ON entry (id) WHERE state <> 'delivered';
CREATE INDEX entry_ended ON entry (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE TABLE recipient (
    entry   TEXT NOT NULL REFERENCES entry ON DELETE CASCADE,
    ordinal INTEGER NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (entry, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE content (
    entry TEXT NOT NULL UNIQUE REFERENCES entry ON DELETE CASCADE,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE attempt (
    entry             TEXT NOT NULL REFERENCES entry ON DELETE CASCADE,
    number            INTEGER NOT NULL,
    begun_at          INTEGER NOT NULL,
    client_request_id TEXT NOT NULL,
    ended_at          INTEGER,
    outcome           TEXT,
    http_status       INTEGER,
    code              TEXT,
    reason            TEXT,
    request_id        TEXT,
    PRIMARY KEY (entry, number)
) STRICT, WITHOUT ROWID;
BEGIN;
INSERT INTO entry VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 'delivered', 1796064933975, 1796064933975, 1796064933977, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 127, 0, 1, NULL, 'submitted to Graph', 'anna', NULL);
INSERT INTO entry VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', 'failed', 1796064933978, 1796064933978, 1796064933980, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 118, 0, 1, NULL, '400 ErrorInvalidRecipients', NULL, NULL);
INSERT INTO entry VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', 'waiting', 1796064933981, 1796064933981, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 124, 0, 1, NULL, '503 ServiceUnavailable', NULL, NULL);
INSERT INTO entry VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', 'waiting', 1796064933986, 1796064933986, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 1, '192.0.2.7', 'scanner.example', 'ESMTP', 121, 0, 0, NULL, NULL, 'anna', NULL);
INSERT INTO entry VALUES ('01M8PWZY34CRKX4XW0PZSHBKZW', 'waiting', 1796064933990, 1796064933990, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 200115, 1, 0, NULL, NULL, NULL, NULL);
INSERT INTO recipient VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 1, 'Carol@Example.org');
INSERT INTO recipient VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', 0, 'nobody@example.org');
INSERT INTO recipient VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', 1, 'info@müller.example');
INSERT INTO recipient VALUES ('01M8PWZY34CRKX4XW0PZSHBKZW', 0, 'dave@example.org');
INSERT INTO content VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a206661696c65640d0a4d6573736167652d49443a203c6661696c6564406170702e6578616d706c653e0d0a0d0a74657874206f66206661696c65640d0a');
INSERT INTO content VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a2064656665727265640d0a4d6573736167652d49443a203c6465666572726564406170702e6578616d706c653e0d0a0d0a74657874206f662064656665727265640d0a');
INSERT INTO content VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a2077616974696e670d0a4d6573736167652d49443a203c77616974696e67406170702e6578616d706c653e0d0a0d0a74657874206f662077616974696e670d0a');
INSERT INTO attempt VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 1, 1796064933976, '335f3edf-5a7b-4b67-ba81-5281dff348e9', 1796064933977, 'delivered', 202, NULL, 'submitted to Graph', '5f0f5a8c-5c0c-4d7e-9a52-5d9fbd0c1f11');
INSERT INTO attempt VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', 1, 1796064933979, '7f47fbde-2641-4a13-a1ae-b1cfbc9bf22f', 1796064933980, 'failed', 400, 'ErrorInvalidRecipients', '400 ErrorInvalidRecipients', '5f0f5a8c-5c0c-4d7e-9a52-5d9fbd0c1f11');
INSERT INTO attempt VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', 1, 1796064933981, 'c817949c-aeff-41e8-92fb-6a9ce69adb10', 1796064933982, 'deferred', 503, 'ServiceUnavailable', '503 ServiceUnavailable', '5f0f5a8c-5c0c-4d7e-9a52-5d9fbd0c1f11');
COMMIT;
PRAGMA user_version = 2;
