// The list of messages, and what an operator does there.

import { strict as assert } from "node:assert";
import { DEFERRED, REFUSED_BY_GRAPH } from "../harness/relay.mjs";

export async function prepare(relay) {
  const wide = "a".repeat(60);
  await relay.send({ to: `${wide}@${wide}.example.org`, subject: "b".repeat(200) }, "delivered");
  const delivered = await relay.send(
    { to: ["anna@example.org", "bernd@example.org"], subject: "Invoice 2026-118" },
    "delivered",
  );
  await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed");
  await relay.send({ to: DEFERRED, subject: "Backup finished" }, "deferred");
  return { delivered };
}

export const pages = [
  {
    name: "messages",
    path: "/messages",
    images: [
      { image: "messages", width: 1280 },
      { image: "messages-phone", width: 390 },
    ],
  },
  { name: "messages-filtered", path: "/messages?state=failed&q=Scan", role: "viewer" },
  { name: "messages-none", path: "/messages?q=nothing-like-this" },
  { name: "messages-bad-filter", path: "/messages?newer=never" },
];

export const cases = {
  "a search is typed, found and kept in the address, without a mouse": async ({ visit }) => {
    const visitor = await visit({ role: "viewer" });
    await visitor.go("/messages");
    await visitor.page.keyboard.type("/Invoice");
    await visitor.follow(() => visitor.page.keyboard.press("Enter"));
    assert.match(visitor.path, /q=Invoice/);
    assert.equal(await visitor.count("#messages tbody tr"), 2);
  },

  "a selected message is dropped only after a question, also without scripts": async ({ relay, visit }) => {
    for (const scripts of [true, false]) {
      const id = await relay.send({ to: DEFERRED, subject: "To be dropped" }, "deferred");
      const visitor = await visit({ scripts, role: "operator" });
      await visitor.go("/messages");
      await visitor.page.click(`input[value="${id}"]`);
      await visitor.press("button[value=drop]");
      assert.match(await visitor.text(), /1 message/);
      await visitor.judge();
      await visitor.press("#order form button");
      await visitor.sees("1 message dropped", "h1");
      await relay.event("dropped", (line) => line.id === id);
    }
  },

  "a selection that is made while the list is on its way stays": async ({ visit }) => {
    const visitor = await visit({ role: "operator" });
    await visitor.go("/messages");
    const box = "#messages tbody tr:first-child input[type=checkbox]";
    await visitor.page.setRequestInterception(true);
    visitor.page.on("request", async (request) => {
      const isUpdate = request.headers()["x-live"];
      if (isUpdate && !(await visitor.count(`${box}:checked`))) await visitor.page.click(box);
      await request.continue().catch(() => {});
    });
    await visitor.page.evaluate(() => {
      return new Promise((done) => document.addEventListener("htmx:afterRequest", done));
    });
    assert.equal(await visitor.count(`${box}:checked`), 1);
  },

  "a Subject that turns its letters around is shown as it is": async ({ relay, visit }) => {
    await relay.send({ to: "anna@example.org", subject: "bill-\u202efdp.exe" }, "delivered");
    const visitor = await visit({ role: "viewer" });
    await visitor.go("/messages?q=bill-");
    assert.match(await visitor.text("#messages"), /bill-\[U\+202E\]fdp\.exe/);
  },

  "addresses and words have room in every width": async ({ visit }) => {
    for (const width of [390, 700, 1051, 1280]) {
      const visitor = await visit({ width });
      await visitor.go("/messages?q=anna");
      const lines = await visitor.page.$$eval("#messages tbody td a", (links) =>
        links.map((link) => `${link.getClientRects().length} ${link.innerText}`),
      );
      assert.ok(lines.includes("1 anna@example.org"), `${width}: ${lines}`);
      assert.ok(lines.includes("1 127.0.0.1"), `${width}: ${lines}`);
      const hidden = await visitor.page.$eval(".scroll", (it) => it.scrollWidth - it.clientWidth);
      assert.equal(hidden, 0, `${width}`);
    }
  },

  "a new message appears by itself": async ({ relay, visit }) => {
    const visitor = await visit({ role: "viewer" });
    await visitor.go("/messages");
    await relay.send({ to: "carla@example.org", subject: "Just now" }, "delivered");
    await visitor.sees("Just now", "#messages");
  },
};
