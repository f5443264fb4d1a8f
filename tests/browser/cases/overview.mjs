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

  "the figures grow by themselves": async ({ relay, visit }) => {
    const visitor = await visit();
    await visitor.go("/");
    const before = Number(await visitor.text("#delivered .figure"));
    await relay.send({ to: "emil@example.org" }, "delivered");
    await visitor.sees(String(before + 1), "#delivered .figure");
  },
};
