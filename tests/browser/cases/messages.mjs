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
    // Resolves when the list has its answer to the request during which the box was clicked.
    await visitor.page.evaluate(() => {
      window.updated = new Promise((done) => {
        const selected = () => document.addEventListener("htmx:afterRequest", () => done());
        document.addEventListener("change", selected, { once: true });
      });
    });
    await visitor.page.setRequestInterception(true);
    visitor.page.on("request", async (request) => {
      const isUpdate = request.headers()["x-live"];
      if (isUpdate && !(await visitor.count(`${box}:checked`))) await visitor.page.click(box);
      await request.continue().catch(() => {});
    });
    await visitor.page.evaluate(() => window.updated);
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

  "the buttons say for how many messages they are, and wait for one": async ({ relay, visit }) => {
    const id = await relay.send({ to: [DEFERRED, "other@example.org"], subject: "Twice" }, "deferred");
    const visitor = await visit({ role: "operator" });
    const buttons = () =>
      visitor.page.$$eval("#selection button", (all) => all.map((it) => `${it.disabled} ${it.innerText}`));
    await visitor.go("/messages?q=Twice");
    assert.ok((await buttons()).every((it) => /^true \w/.test(it) && !it.includes("(")), await buttons());
    // Two rows, and one message.
    for (const box of await visitor.page.$$(`input[value="${id}"]`)) await box.click();
    assert.ok((await buttons()).every((it) => /^false .* \(1\)$/.test(it)), await buttons());
  },

  "an order for nothing says so, without scripts": async ({ visit }) => {
    const visitor = await visit({ scripts: false, role: "operator" });
    await visitor.go("/messages?state=waiting");
    await visitor.press("button[value=drop]");
    assert.match(await visitor.text("#nothing-selected"), /No message is selected/);
    assert.match(visitor.path, /^\/messages\?state=waiting/);
    await visitor.judge();
  },

  "nothing moves under somebody who selects, filters or searches": async ({ relay, visit }) => {
    const first = "#messages tbody tr:first-child";
    const hands = {
      selects: (page) => page.click(`${first} input[type=checkbox]`),
      filters: (page) => page.select("#state", "failed"),
      types: (page) => page.type("#search", "abc"),
    };
    for (const [name, use] of Object.entries(hands)) {
      const visitor = await visit({ role: "operator" });
      await visitor.go("/messages");
      await use(visitor.page);
      // The mouse is elsewhere: it is not the focus that keeps the list.
      await visitor.page.evaluate(() => document.activeElement.blur());
      const before = await visitor.text("#messages");
      const subject = `While somebody ${name}`;
      await relay.send({ to: "dora@example.org", subject }, "delivered");
      const isAsked = await visitor.page.evaluate(() => {
        const list = document.getElementById("messages");
        const event = new CustomEvent("htmx:beforeRequest", { bubbles: true, cancelable: true });
        return list.dispatchEvent(event);
      });
      assert.equal(isAsked, false, name);
      assert.equal(await visitor.text("#messages"), before, name);
    }
    const visitor = await visit({ role: "operator" });
    await visitor.go("/messages?q=Invoice");
    assert.equal(await visitor.count("#messages[data-live]"), 0);
  },

  "an order is given once, whoever reloads or goes back": async ({ relay, visit }) => {
    const id = await relay.send({ to: DEFERRED, subject: "Once" }, "deferred");
    const visitor = await visit({ role: "operator" });
    await visitor.go("/messages?to=sendas%40example.org");
    await visitor.page.click(`input[value="${id}"]`);
    await visitor.press("button[value=hold]");
    await visitor.sees("1 message held", "h1");
    await relay.command("queue", "release", id);
    await relay.event("deferred", (line) => line.id === id && line.attempt === 2);
    await visitor.follow(() => visitor.page.reload());
    await visitor.sees("1 message held", "h1");
    await visitor.follow(() => visitor.page.goBack());
    assert.match(visitor.path, /^\/messages\?to=sendas/);
    const shown = JSON.parse(await relay.command("queue", "show", id, "--json"));
    assert.deepEqual(shown.orders.map((it) => it.order), ["hold", "release"]);
  },

  "Subject and result have most of the room, and times stay whole": async ({ visit }) => {
    for (const language of ["en", "de"]) {
      for (const width of [1280, 1920]) {
        const visitor = await visit({ width, language, role: "operator" });
        await visitor.go("/messages");
        const widths = await visitor.page.$$eval("#messages thead th", (all) => all.map((it) => it.offsetWidth));
        const [, time, from, to, subject, result, client] = widths;
        for (const other of [time, from, to, client]) {
          assert.ok(subject > other && result > other, `${width} ${language}: ${widths}`);
        }
        const lines = (selector) =>
          visitor.page.$$eval(selector, (all) => all.map((it) => it.getClientRects().length));
        assert.ok((await lines("td.time time")).every((it) => it === 1));
        assert.ok((await lines("td .badge")).every((it) => it === 1));
        const title = await visitor.page.$eval("td.address a", (it) => it.title === it.innerText);
        assert.ok(title);
      }
    }
  },

  "a new message appears by itself": async ({ relay, visit }) => {
    const visitor = await visit({ role: "viewer" });
    await visitor.go("/messages");
    await relay.send({ to: "carla@example.org", subject: "Just now" }, "delivered");
    await visitor.sees("Just now", "#messages");
  },
};
