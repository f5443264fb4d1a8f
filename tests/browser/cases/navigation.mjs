// Every page that the navigation names, for each role: also those that have no case of their own.

import { strict as assert } from "node:assert";
import { inWords, looks } from "../harness/looks.mjs";
import { REFUSED_BY_GRAPH } from "../harness/relay.mjs";

export const prepare = async (relay) => {
  await relay.send({ to: "anna@example.org" }, "delivered");
  await relay.send({ to: REFUSED_BY_GRAPH }, "failed");
};

const ROLES = ["viewer", "operator", "administrator"];

async function paths(visitor) {
  await visitor.go("/");
  return visitor.page.$$eval("header nav a", (links) => links.map((link) => link.pathname));
}

const inEachLook = looks.map((look) => [
  `the pages of the navigation: ${inWords(look)}`,
  async ({ visit }) => {
    const visitor = await visit(look);
    for (const path of await paths(visitor)) {
      await visitor.go(path);
      await visitor.judge();
    }
  },
]);

export const cases = {
  "each role can open every page that its navigation names, by keyboard too": async ({ visit }) => {
    for (const role of ROLES) {
      const visitor = await visit({ role });
      const found = await paths(visitor);
      assert.ok(found.includes("/messages"), `${role}: ${found}`);
      for (const path of found) {
        await visitor.go(path);
        assert.equal(await visitor.count("header nav a[aria-current=page]"), 1, path);
        await visitor.judgeKeyboard();
      }
    }
  },
  ...Object.fromEntries(inEachLook),
};
