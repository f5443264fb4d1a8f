// The doctor: not asked yet, asked by an operator, and what it found.

import { strict as assert } from "node:assert";
import { account, MAILBOX, OTHER_MAILBOX } from "../harness/relay.mjs";

// An account whose mailbox nobody has signed in: the doctor finds a failure.
const unsigned = (place) => `
[doctor]
every = "2h"

${account(place, "default", `mailbox = "${MAILBOX}"`)}

${account(place, "people", `sign_in = "delegated"
mailbox = "${OTHER_MAILBOX}"
senders = ["${OTHER_MAILBOX}"]`)}
`;

export const relay = { config: unsigned };

// By keyboard alone; a look without scripts loads the page again by its link.
async function examine(visitor) {
  await visitor.go("/doctor");
  await visitor.enter("#doctor form button");
  assert.equal(visitor.path, "/doctor");
  if (visitor.scripts) {
    await visitor.page.waitForSelector("#doctor:not(:has([role=status]))");
  }
  while ((await visitor.count("#doctor [role=status]")) > 0) {
    await visitor.enter("#doctor [role=status] a");
  }
  assert.match(await visitor.text("#doctor"), /The last examination ended/);
}

export async function prepare(relay, visit) {
  const visitor = await visit({ role: "operator" });
  await visitor.go("/doctor");
  const before = await visitor.text();
  await examine(visitor);
  await visitor.context.close();
  return { before };
}

export const pages = [
  { name: "doctor", path: "/doctor" },
  { name: "doctor-viewer", path: "/doctor", role: "viewer" },
];

export const cases = {
  "before the first examination it says when that comes, and how often": ({ given }) => {
    assert.match(given.before, /There was no examination since the relay was started/);
    assert.match(given.before, /The first one is a few minutes after the start/);
    assert.match(given.before, /every 2 ?h/);
  },

  "an operator asks for an examination by keyboard alone, with and without scripts": async ({ visit }) => {
    for (const look of [{ scripts: true, scheme: "dark" }, { scripts: false, width: 390 }]) {
      const visitor = await visit({ ...look, role: "operator" });
      await examine(visitor);
      await visitor.judge();
      assert.equal(await visitor.count("#doctor form button"), 1);
    }
  },

  "the failure stands first, with what to do, and needs attention on every page": async ({ visit }) => {
    const visitor = await visit({ role: "viewer" });
    await visitor.go("/doctor");
    const first = await visitor.text("#doctor tbody tr:first-child");
    assert.match(first, /failure/);
    assert.match(first, /sign in|login/i);
    assert.equal(await visitor.count("#doctor form"), 0);
    await visitor.go("/messages");
    // Once, though the doctor has found it too.
    const notices = await visitor.page.$$eval("#attention h2", (all) => all.map((it) => it.innerText));
    assert.deepEqual(notices, [`${OTHER_MAILBOX} needs to sign in`]);
  },
};
