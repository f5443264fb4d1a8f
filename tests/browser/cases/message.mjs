// The page of one message: delivered, failed, waiting.

import { strict as assert } from "node:assert";
import { DEFERRED, REFUSED_BY_GRAPH, SLOW } from "../harness/relay.mjs";

export const relay = {
  config: '[delivery]\nretry = ["1s", "1h"]\n',
};

export async function prepare(relay) {
  return {
    delivered: await relay.send({ to: SLOW, subject: "Invoice 2026-118" }, "delivered"),
    failed: await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed"),
    waiting: await relay.send({ to: DEFERRED, subject: "Backup finished" }, "deferred"),
  };
}

export const pages = [
  {
    name: "message-delivered",
    path: ({ delivered }) => `/messages/${delivered}`,
    images: [{ image: "message", width: 1280 }],
  },
  { name: "message-failed", path: ({ failed }) => `/messages/${failed}`, role: "operator" },
  { name: "message-waiting", path: ({ waiting }) => `/messages/${waiting}` },
  { name: "message-viewed", path: ({ waiting }) => `/messages/${waiting}`, role: "viewer" },
  { name: "message-unknown", path: "/messages/01AAAAAAAAAAAAAAAAAAAAAAAA", status: 404 },
];

export const cases = {
  "a waiting message is held and released on its page": async ({ given, visit }) => {
    const visitor = await visit({ role: "operator" });
    await visitor.go(`/messages/${given.waiting}`);
    await visitor.press("button[value=hold]");
    await visitor.go(`/messages/${given.waiting}`);
    assert.equal(await visitor.count("button[value=hold]"), 0);
    await visitor.press("button[value=release]");
    await visitor.go(`/messages/${given.waiting}`);
    assert.equal(await visitor.count("button[value=hold]"), 1);
  },

  "somebody who only looks has no buttons": async ({ given, visit }) => {
    const visitor = await visit({ role: "viewer" });
    await visitor.go(`/messages/${given.waiting}`);
    assert.equal(await visitor.count("main button"), 0);
  },
};
