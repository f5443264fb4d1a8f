// The devices: the list, one device, adding one, and allowing one what it was refused.

import { strict as assert } from "node:assert";
import { MAILBOX } from "../harness/relay.mjs";

// A password as in tests/it/common/users.rs; its hash is as cheap as Argon2 allows.
const PASSWORD = "Printer123Scan456";
const HASH =
  "$argon2id$v=19$m=64,t=1,p=1$Y2FuYXJ5LW9mLXRlc3RzIQ$V/92VkIC5wRQnE7B7skPtj0/7FXaDLQPYeTL4opKYlg";

export const relay = {
  config:
    '[[listener]]\naddress = "127.0.0.1:0"\nauthentication = "optional"\n' +
    `[[user]]\nname = "scanner"\npassword_hash = "${HASH}"\nsenders = ["${MAILBOX}"]\n` +
    `[[user]]\nname = "unused"\npassword_hash = "${HASH}"\nsenders = ["${MAILBOX}"]\n`,
};

const scanner = { user: "scanner", password: PASSWORD, hello: "scanner-2" };

export async function prepare(relay) {
  await relay.send({ to: "anna@example.org", subject: "Nightly report", hello: "erp01" }, "delivered");
  const reply = await relay.mail({ ...scanner, to: "anna@example.org", from: "boss@contoso.com" });
  assert.match(reply, /^553/);
}

export const pages = [
  { name: "devices", path: "/devices" },
  { name: "devices-viewer", path: "/devices", role: "viewer" },
  { name: "device", path: "/devices/127.0.0.1" },
  { name: "device-refused", path: "/devices/127.0.0.1?user=scanner" },
  { name: "device-allow", path: "/devices/127.0.0.1/allow?user=scanner" },
  { name: "device-add", path: "/devices/add" },
  { name: "devices-none", path: "/devices?q=nobody", role: "viewer" },
  { name: "device-user", path: "/devices/user/scanner" },
  { name: "device-user-waits", path: "/devices/user/unused" },
  { name: "device-remove", path: "/devices/user/scanner/remove" },
  { name: "device-password", path: "/devices/user/scanner/password" },
  { name: "device-forget", path: "/devices/127.0.0.1/forget" },
  { name: "device-waits", path: "/devices/first?user=nobody", role: "viewer" },
  { name: "device-unknown", path: "/devices/192.0.2.1", status: 404 },
];

export const cases = {
  "a device is added, sends, and the page turns green by itself": async ({ relay, visit }) => {
    const visitor = await visit();
    await visitor.go("/devices");
    await visitor.press("#add");
    await visitor.fill("#name", "copier");
    await visitor.press("form#add button");
    const password = await visitor.text("#password");
    assert.match(password, /^[A-Za-z0-9]{18}$/);
    await visitor.judge();
    await relay.send({ to: "anna@example.org", user: "copier", password }, "accepted");
    await visitor.sees("The first message has come", "#first-message");
    assert.equal(await visitor.text("#password"), password);
    await visitor.judge();
  },

  "without scripts a link shows whether the first message has come": async ({ relay, visit }) => {
    const visitor = await visit({ scripts: false });
    await visitor.go("/devices/add");
    await visitor.page.focus("#name");
    await visitor.page.keyboard.type("fax");
    await visitor.press("form#add button");
    const password = await visitor.text("#password");
    await relay.send({ to: "anna@example.org", user: "fax", password }, "accepted");
    await visitor.go("/devices/first?user=fax");
    assert.match(await visitor.text("#first-message"), /The first message has come/);
  },

  "an administrator allows a device what it was refused": async ({ relay, visit }) => {
    const visitor = await visit();
    await visitor.go("/devices/127.0.0.1?user=scanner");
    await visitor.press("#allow");
    assert.match(await visitor.text("#lines"), /\+ senders = .*boss@contoso\.com/);
    await visitor.press("main form button.primary");
    assert.match(await visitor.text("#allowed"), /in force/);
    assert.match(await relay.readConfig(), /boss@contoso\.com/);
  },

  "an administrator finds a device that has not sent yet, and removes it": async ({ relay, visit }) => {
    const visitor = await visit({ scripts: false });
    await visitor.go("/devices/add");
    await visitor.page.focus("#name");
    await visitor.page.keyboard.type("typo");
    await visitor.press("form#add button");
    await visitor.go("/devices?q=typo");
    assert.match(await visitor.text("#devices"), /Added, has not sent yet/);
    await visitor.press("#devices td a");
    await visitor.press("#remove");
    assert.match(await visitor.text("#lines"), /- name = "typo"/);
    await visitor.press("main form button.danger");
    await visitor.go("/devices?q=typo");
    assert.match(await visitor.text("#devices"), /No device matches/);
    assert.doesNotMatch(await relay.readConfig(), /typo/);
  },

  "an administrator forgets a device that has no user, and it comes back when it sends": async ({
    relay,
    visit,
  }) => {
    const visitor = await visit({ scripts: false });
    await visitor.go("/devices/127.0.0.1");
    await visitor.press("#forget");
    await visitor.press("main form button.danger");
    assert.equal(visitor.path, "/devices");
    await visitor.go("/devices?q=erp01");
    assert.match(await visitor.text("#devices"), /No device matches/);
    await relay.send({ to: "anna@example.org", subject: "Another", hello: "erp01" }, "delivered");
    await visitor.go("/devices?q=erp01");
    assert.match(await visitor.text("#devices"), /127\.0\.0\.1/);
  },
};
