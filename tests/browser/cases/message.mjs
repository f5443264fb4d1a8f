// The page of one message: delivered, failed, waiting.

import { strict as assert } from "node:assert";
import { DEFERRED, MAILBOX, REFUSED_BY_GRAPH, SLOW } from "../harness/relay.mjs";

export const relay = {
  config: '[delivery]\nretry = ["1s", "1h"]\n',
};

const html = (body) =>
  `From: <${MAILBOX}>\r\nTo: <${DEFERRED}>\r\nSubject: Monthly report\r\n` +
  `MIME-Version: 1.0\r\nContent-Type: text/html; charset=utf-8\r\n\r\n${body}\r\n`;

// Waits until an attempt of a message has failed: nobody can hold what is being sent.
async function failed(relay, id, attempt) {
  await relay.event("deferred", (line) => line.id === id && line.attempt === attempt);
  await relay.recorded(id);
}

export async function prepare(relay) {
  const waiting = await relay.send({ to: DEFERRED, subject: "Backup finished" }, "deferred");
  await failed(relay, waiting, 2);
  return {
    waiting,
    html: await relay.send({ to: DEFERRED, text: html("<h1>Report</h1>") }, "deferred"),
    delivered: await relay.send({ to: SLOW, subject: "Invoice 2026-118" }, "delivered"),
    failed: await relay.send({ to: REFUSED_BY_GRAPH, subject: "Scan 0001" }, "failed"),
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
  { name: "message-content", path: ({ html }) => `/messages/${html}/content` },
  { name: "message-viewed", path: ({ waiting }) => `/messages/${waiting}`, role: "viewer" },
  { name: "message-unknown", path: "/messages/01AAAAAAAAAAAAAAAAAAAAAAAA", status: 404 },
];

export const cases = {
  "a waiting message is held and released on its page": async ({ relay, given, visit }) => {
    const visitor = await visit({ role: "operator" });
    await visitor.go(`/messages/${given.waiting}`);
    await visitor.press("button[value=hold]");
    await visitor.go(`/messages/${given.waiting}`);
    assert.equal(await visitor.count("button[value=hold]"), 0);
    await visitor.press("button[value=release]");
    await failed(relay, given.waiting, 3);
    await visitor.go(`/messages/${given.waiting}`);
    assert.equal(await visitor.count("button[value=hold]"), 1);
  },

  "HTML of a message loads nothing and runs nothing": async ({ relay, visit }) => {
    const evil =
      "<img src='http://elsewhere.example/seen.png'><b>well</b>" +
      "<script>document.title = 'run'</script>";
    const id = await relay.send({ to: DEFERRED, text: html(evil) }, "deferred");
    const visitor = await visit();
    await visitor.go(`/messages/${id}/content`);
    const frame = await visitor.page.waitForSelector("iframe.message");
    const inside = await frame.contentFrame();
    await inside.waitForSelector("b");
    assert.notEqual(await inside.title(), "run");
    // The policy of the frame stops both, and the console says so.
    const said = visitor.faults.splice(0).join("\n");
    assert.match(said, /the image 'http:\/\/elsewhere\.example.*Content Security Policy/);
    assert.match(said, /Blocked script execution/);
  },

  "somebody who only looks has no buttons": async ({ given, visit }) => {
    const visitor = await visit({ role: "viewer" });
    await visitor.go(`/messages/${given.waiting}`);
    assert.equal(await visitor.count("main button"), 0);
  },
};
