// Every page that the navigation names, for each role: also those that have no case of their own.

import { strict as assert } from "node:assert";
import { inWords, judgeEverywhere, tongues } from "../harness/looks.mjs";
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

const inEachTongue = tongues.map((tongue) => [
  `the pages of the navigation: ${inWords(tongue)}`,
  async ({ visit }) => {
    const visitor = await visit(tongue);
    for (const path of await paths(visitor)) {
      await visitor.go(path);
      await judgeEverywhere(visitor);
    }
  },
]);

export const cases = {
  "each role can open every page that its navigation names": async ({ visit }) => {
    for (const role of ROLES) {
      const visitor = await visit({ role });
      const found = await paths(visitor);
      assert.ok(found.includes("/messages"), `${role}: ${found}`);
      for (const path of found) {
        await visitor.go(path);
        assert.equal(await visitor.count("header nav a[aria-current=page]"), 1, path);
      }
    }
  },
  ...Object.fromEntries(inEachTongue),
};
