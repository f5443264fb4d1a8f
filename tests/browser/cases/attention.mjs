// What needs attention: each kind of problem that a test can make, what to do about it, and the list
// that it leads to.

import { strict as assert } from "node:assert";
import { account, DEFERRED, MAILBOX, OTHER_MAILBOX, REFUSED_BY_GRAPH } from "../harness/relay.mjs";

const QUOTA = "quota@example.org";

export const relay = {
  config: (place) => `
${account(place, "default", `client_secret_expires = "2026-01-31"
mailbox = "from"
senders = ["*@sandbox.example"]`)}

${account(place, "people", `sign_in = "delegated"
mailbox = "scans@contoso.com"
senders = ["scans@contoso.com"]`)}
`,
};

export async function prepare(relay) {
  await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed");
  const held = await relay.send({ to: DEFERRED, subject: "Offer 88" }, "deferred");
  await relay.command("queue", "hold", held);
  await relay.send({ to: QUOTA, subject: "Newsletter" }, "deferred");
  await relay.command("pause", "--mailbox", OTHER_MAILBOX, "--reason", "the mailbox moves");
}

export const pages = [
  { name: "attention", path: "/" },
  { name: "attention-viewer", path: "/devices", role: "viewer" },
];

// The problem, and what stands with it.
const problems = {
  "The credential of default expires soon or has expired": [/create a new one/, /Seen since 20\d\d-/],
  "scans@contoso.com needs to sign in": [/sign in as this mailbox/, /Seen since 20\d\d-/, /graph-relay login scans@contoso.com/],
  [`${MAILBOX} is backing off`]: [/What to do/, /Seen since 20\d\d-/],
  [`Delivery from ${OTHER_MAILBOX} has been paused`]: [/since \S*20\d\d-/i, /the mailbox moves/, /graph-relay resume/],
  "Messages have failed in the last 24 hours": [/Show the messages/],
  "1 message is held": [/Show the messages/],
};

export const cases = {
  "each problem says what is wrong and what to do, on every page": async ({ visit }) => {
    for (const scripts of [true, false]) {
      const visitor = await visit({ scripts, role: "viewer" });
      for (const path of ["/", "/messages", "/doctor"]) {
        await visitor.go(path);
        const notices = await visitor.page.$$eval("#attention .notice", (all) => all.map((it) => it.innerText));
        for (const [title, words] of Object.entries(problems)) {
          const notice = notices.find((it) => it.startsWith(title));
          assert.ok(notice, `${title}: ${notices.join("\n\n")}`);
          for (const word of words) assert.match(notice, word);
        }
        // Each link is there once.
        for (const notice of notices) assert.ok(notice.split("Show the messages").length <= 2, notice);
        assert.equal(notices.length, Object.keys(problems).length, notices.join("\n\n"));
      }
    }
  },

  "a problem leads to the messages that it is about, by keyboard alone": async ({ visit }) => {
    const found = { failed: "Scan 0001", held: "Offer 88" };
    for (const [state, subject] of Object.entries(found)) {
      const visitor = await visit({ role: "viewer", width: state === "held" ? 390 : 1280 });
      await visitor.go("/");
      await visitor.enter(`#attention a[href="/messages?state=${state}"]`);
      const rows = await visitor.page.$$eval("#messages tbody tr", (all) => all.map((it) => it.innerText));
      assert.equal(rows.length, 1, rows.join("\n"));
      assert.match(rows[0], new RegExp(subject));
    }
  },
};
