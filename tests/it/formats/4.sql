-- A spool of format 4, as graph-relay of 29 November 2026 left it.
CREATE TABLE entry (
    id           TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    accepted_at  INTEGER NOT NULL,
    due_running  INTEGER NOT NULL,
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
    -- Since when (running time) it is deferred for another reason than the configuration.
    trouble_since INTEGER,
    reason       TEXT,
    -- Who authenticated.
    user         TEXT,
    -- The only account that may send it.
    bound        TEXT,
    -- The draft that the mailbox has of it: Graph's immutable id, and how far it is.
    draft        TEXT,
    draft_stage  TEXT,
    -- Running time.
    draft_since  INTEGER,
    -- The entry that it was split off, because it had too many recipients.
    part_of      TEXT,
    -- The entry that this report is about.
    about        TEXT,
    -- Whether its sender was told that it is late.
    warned       INTEGER NOT NULL DEFAULT 0,
    -- Checksums of the content, and of the envelope with it (seal.rs).
    digest       BLOB,
    seal         BLOB,
    accepted_running INTEGER NOT NULL DEFAULT 0,
    ended_running INTEGER,
    -- Whether it is known to fail while other messages get through.
    own_trouble  INTEGER NOT NULL DEFAULT 0,
    -- What its rows and its content take up on disk (usage.rs).
    rows_cost    INTEGER NOT NULL DEFAULT 0,
    content_cost INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_due ON entry (account, mailbox, due_running) WHERE state = 'waiting';
CREATE INDEX entry_open ON entry (id) WHERE state NOT IN ('delivered', 'dropped');
CREATE INDEX entry_about ON entry (about) WHERE about IS NOT NULL;
CREATE INDEX entry_ended ON entry (state, ended_running, ended_at) WHERE ended_at IS NOT NULL;
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
    -- Requests to Graph, and bytes in them: what the mailbox's limits count.
    requests          INTEGER,
    uploaded          INTEGER,
    begun_running     INTEGER NOT NULL DEFAULT 0,
    ended_running     INTEGER,
    PRIMARY KEY (entry, number)
) STRICT, WITHOUT ROWID;
-- One row: the running time when it was last written down, and what the wall clock
-- and, within one boot of the machine, its steady clock said then.
CREATE TABLE clock (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    running INTEGER NOT NULL,
    wall    INTEGER NOT NULL,
    boot    TEXT NOT NULL,
    steady  INTEGER NOT NULL
) STRICT;
-- One row: which spool this is, and how many transactions it has had (mark.rs).
CREATE TABLE spool (
    id      TEXT NOT NULL,
    commits INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS attempt_begun_running ON attempt (begun_running);
BEGIN;
INSERT INTO entry VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 'delivered', 1796064933975, 3, 1796064933977, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 127, 0, 1, NULL, 'submitted to Graph', 'anna', NULL, NULL, NULL, NULL, NULL, NULL, 0, x'555756e582e2d06f247a9ed18b2ba75fe81f33d69b1a1a69e3a90a9d736caacc', x'4649d45269dd0d11684ae797a5f2fa7d5eb3ea8e1e6fc5e6ad29e2b2aecd4967', 1, 3, 0, 845, 169);
INSERT INTO entry VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', 'failed', 1796064933978, 6, 1796064933980, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 118, 0, 1, NULL, '400 ErrorInvalidRecipients', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, x'd2026e3cd7e954ed200c8d910479542106d4c682fea845343f30c18e9c3b1d54', x'f88565999586151a8582d7d1cbe7d09448339c8f46a00a954f0cb6da07bd3909', 4, 6, 0, 787, 157);
INSERT INTO entry VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', 'waiting', 1796064933981, 0, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 124, 0, 1, NULL, '503 ServiceUnavailable', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, x'f46c6d5e2317d758fac4cfcf8f66f9a562722113831677873056c275a2ec2153', x'04221e1634ed49edc9948a537572a16ff4c0e1fe03ba92dd082f3286db80a0fb', 7, NULL, 0, 780, 165);
INSERT INTO entry VALUES ('01M8PWZY2ZPHDVFRY5JQ1CBW80', 'held', 1796064933984, 9, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 121, 0, 0, NULL, 'held by an operator (uid 1000)', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, x'629784c118049d7dce1eb441d1f5ad1e11e3c148afd219304f1e0de0d2510eb9', x'e660bcf8412bbf49b1915d69b72fe4d9d59ca403084af8656c9288a886d5c7fd', 9, NULL, 0, 518, 161);
INSERT INTO entry VALUES ('01M8PWZY2ZXQ22RC3DF3D4T90Q', 'dropped', 1796064933983, 9, 1796064933986, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 112, 0, 0, NULL, 'dropped by an operator (uid 1000)', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, x'322473f3681c7a3152c4959607f2cf90f16eada3b960bb97d11605ea74acabe1', x'1c296767e5d8ed099e36ad65c315f0fd132780faeaedcfc481c81893cce90343', 9, 12, 0, 518, 149);
INSERT INTO entry VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', 'waiting', 1796064933986, 12, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 1, '192.0.2.7', 'scanner.example', 'ESMTP', 121, 0, 0, NULL, NULL, 'anna', NULL, NULL, NULL, NULL, NULL, NULL, 0, x'b02ea35d8967a0d4239d4eb9711cc3e8273552dff685c49f3fa62e6fa719465e', x'e6140a1143538eed4f053df45732ee006191a694e3b855cb6f24fede7c74fb99', 12, NULL, 0, 590, 161);
INSERT INTO entry VALUES ('01M8PWZY34CRKX4XW0PZSHBKZW', 'waiting', 1796064933990, 16, NULL, 'default', 'relay@contoso.example', 'anna@contoso.example', 'anna@contoso.example', 0, '192.0.2.7', 'scanner.example', 'ESMTP', 200115, 1, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, x'2c381e75edaccd7ffd56af7a8536978c4961be52063d893f8eb402c7f863a73d', x'2c2e20cc29fa1e45ea8f0966f42ea2862ad8361c8152a5b591c38875b88817d3', 16, NULL, 0, 519, 200704);
INSERT INTO recipient VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 1, 'Carol@Example.org');
INSERT INTO recipient VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', 0, 'nobody@example.org');
INSERT INTO recipient VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY2ZPHDVFRY5JQ1CBW80', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY2ZXQ22RC3DF3D4T90Q', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', 0, 'bob@example.org');
INSERT INTO recipient VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', 1, 'info@müller.example');
INSERT INTO recipient VALUES ('01M8PWZY34CRKX4XW0PZSHBKZW', 0, 'dave@example.org');
INSERT INTO content VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a206661696c65640d0a4d6573736167652d49443a203c6661696c6564406170702e6578616d706c653e0d0a0d0a74657874206f66206661696c65640d0a');
INSERT INTO content VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a2064656665727265640d0a4d6573736167652d49443a203c6465666572726564406170702e6578616d706c653e0d0a0d0a74657874206f662064656665727265640d0a');
INSERT INTO content VALUES ('01M8PWZY2ZPHDVFRY5JQ1CBW80', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a2064726f707065640d0a4d6573736167652d49443a203c64726f70706564406170702e6578616d706c653e0d0a0d0a74657874206f662064726f707065640d0a');
INSERT INTO content VALUES ('01M8PWZY32VMM63S1J3ES3Z5C7', x'46726f6d3a20616e6e6140636f6e746f736f2e6578616d706c650d0a546f3a20626f62406578616d706c652e6f72670d0a5375626a6563743a2077616974696e670d0a4d6573736167652d49443a203c77616974696e67406170702e6578616d706c653e0d0a0d0a74657874206f662077616974696e670d0a');
INSERT INTO attempt VALUES ('01M8PWZY2QTH8KKP8AFW23Y6Q9', 1, 1796064933976, '335f3edf-5a7b-4b67-ba81-5281dff348e9', 1796064933977, 'delivered', 202, NULL, 'submitted to Graph', '5f0f5a8c-5c0c-4d7e-9a52-5d9fbd0c1f11', 1, 12, 2, 3);
INSERT INTO attempt VALUES ('01M8PWZY2T42ASXG06ZR1Z0Q3D', 1, 1796064933979, '7f47fbde-2641-4a13-a1ae-b1cfbc9bf22f', 1796064933980, 'failed', 400, 'ErrorInvalidRecipients', '400 ErrorInvalidRecipients', '5f0f5a8c-5c0c-4d7e-9a52-5d9fbd0c1f11', 1, 12, 5, 6);
INSERT INTO attempt VALUES ('01M8PWZY2XBHWYZ813Y6A49R4R', 1, 1796064933981, 'c817949c-aeff-41e8-92fb-6a9ce69adb10', 1796064933982, 'deferred', 503, 'ServiceUnavailable', '503 ServiceUnavailable', '5f0f5a8c-5c0c-4d7e-9a52-5d9fbd0c1f11', 1, 12, 7, 8);
INSERT INTO clock VALUES (1, 16, 1796064933990, 'e9232037-db0d-4c5e-9072-5be21d1bb707', 1945871);
INSERT INTO spool VALUES ('5ba576d3-bac8-4203-8dd6-41b998ec4900', 16);
COMMIT;
PRAGMA user_version = 4;
