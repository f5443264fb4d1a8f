// The overview: before the first message, and with mail that went well and badly.

import { strict as assert } from "node:assert";
import { DEFERRED, REFUSED_BY_GRAPH } from "../harness/relay.mjs";

export async function prepare(relay) {
  for (const [n, name] of ["anna", "bernd", "chris", "dora"].entries()) {
    await relay.send({ to: `${name}@example.org`, subject: `Report ${n + 1}` }, "delivered");
  }
  await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed");
  await relay.send({ to: DEFERRED, subject: "Backup finished" }, "deferred");
}

export const pages = [
  {
    name: "overview",
    path: "/",
    images: [{ image: "overview", width: 1280 }],
  },
  { name: "overview-week", path: "/?span=week", role: "viewer" },
];

export const cases = {
  "a problem leads to the messages concerned": async ({ visit }) => {
    const visitor = await visit();
    await visitor.go("/");
    await visitor.press("#attention a[href='/messages?state=failed']");
    assert.match(await visitor.text("#messages"), /invalid@example\.org/);
    assert.doesNotMatch(await visitor.text("#messages"), /anna@example\.org/);
  },

  "no card stands alone in a row, and the header is one line": async ({ visit }) => {
    for (const language of ["en", "de"]) {
      for (const width of [390, 700, 1280, 1920]) {
        const visitor = await visit({ width, language });
        await visitor.go("/");
        const tops = await visitor.page.$$eval(".figures > .card", (all) => all.map((it) => it.offsetTop));
        const alone = tops.filter((top) => tops.filter((it) => it === top).length === 1);
        assert.deepEqual(alone, [], `${width} ${language}: ${tops}`);
        if (width < 1280) continue;
        const height = await visitor.page.$eval("header.top", (it) => it.offsetHeight);
        assert.ok(height < 70, `${width} ${language}: the header is ${height} tall`);
      }
    }
  },

  "the figures grow by themselves": async ({ relay, visit }) => {
    const visitor = await visit();
    await visitor.go("/");
    const before = Number(await visitor.text("#delivered .figure"));
    await relay.send({ to: "emil@example.org" }, "delivered");
    await visitor.sees(String(before + 1), "#delivered .figure");
  },

  "hour, day and week are chosen by keyboard alone, and each chart says in words what it shows": async ({ visit }) => {
    for (const look of [{ scripts: false, width: 390 }, { scheme: "dark" }]) {
      const visitor = await visit({ ...look, role: "viewer" });
      await visitor.go("/");
      for (const span of ["week", "day", "hour"]) {
        await visitor.enter(`#overview nav a[href*="${span}"]`);
        assert.equal(await visitor.count("#overview nav [aria-current=true]"), 1);
        const charts = await visitor.page.$$eval("svg.chart", (all) =>
          all.map((it) => [it.getAttribute("role"), it.getAttribute("aria-label")]),
        );
        assert.ok(charts.length >= 5);
        for (const [role, label] of charts) {
          assert.equal(role, "img");
          assert.match(label, /^\w.*\d/, label);
        }
        // The numbers are there as text, too.
        assert.ok(Number(await visitor.text("#delivered .figure")) >= 4);
        assert.equal(await visitor.text("#failed .figure"), "1");
      }
    }
  },
};
