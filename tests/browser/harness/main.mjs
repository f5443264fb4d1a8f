// Runs the cases of cases/: each file has a relay of its own, and every page that it names is looked
// at in all settings. README.md says how to write one.

import { strict as assert } from "node:assert";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inWords, judgeEverywhere, tongues } from "./looks.mjs";
import { Relay } from "./relay.mjs";
import { Visitor, chromium } from "./visitor.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
// What the tests saw, to look at after a failure; and the pictures of the book.
const seen = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "browser");
const images = join(root, "docs/src/run/images");

const takesScreenshots = process.argv.includes("--screenshots");
const wanted = process.argv.slice(2).filter((it) => it !== "--screenshots");

const all = (await readdir(join(here, "../cases"))).map((it) => it.replace(/\.mjs$/, "")).sort();
for (const name of wanted) assert.ok(all.includes(name), `there is no cases/${name}.mjs`);
const files = await Promise.all(
  all
    .filter((name) => wanted.length === 0 || wanted.includes(name))
    .map(async (name) => ({ name, ...(await import(`../cases/${name}.mjs`)) })),
);

// The pictures for the book: those of pages that are looked at anyway, and those made for it alone.
const pictures = ({ pages = [], pictures = [] }) => [
  ...pages.flatMap(({ images = [], path, role }) => images.map((image) => ({ path, role, ...image }))),
  ...pictures,
];
// The folders of the tests as those of an installed relay.
function asInstalled(folder) {
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const { currentNode: text } = texts;
    const named = text.data.replaceAll(`${folder}/data`, "/var/lib/graph-relay");
    if (text.data.includes(folder)) text.data = named.replaceAll(folder, "/etc/graph-relay");
  }
}

const hasWork = (file) => (takesScreenshots ? pictures(file).length > 0 : file.pages || file.cases);

// One file: its relay, its pages in all settings, and its cases.
function register(file) {
  let browser;
  let relay;
  let given;

  before(async () => {
    browser = await chromium();
    relay = await Relay.start(file.relay);
    given = await file.prepare?.(relay, (look) => Visitor.open(browser, relay, look));
  });
  after(async () => {
    await browser?.close();
    await relay?.stop();
    await file.finish?.();
  });

  // Gives visitors to a case, and asks each at the end whether anything went wrong.
  const withVisitors = (run) => async () => {
    const visitors = [];
    const visit = async (look) => {
      const visitor = await Visitor.open(browser, relay, look);
      visitors.push(visitor);
      return visitor;
    };
    try {
      await run({ relay, given, visit });
    } finally {
      for (const visitor of visitors) await visitor.context.close();
    }
    for (const visitor of visitors) assert.deepEqual(visitor.faults, []);
  };
  const each = async (look, visit, lookAt) => {
    const roles = new Set(file.pages.map(({ role }) => role));
    for (const role of roles) {
      const visitor = await visit({ ...look, role });
      for (const page of file.pages.filter((it) => it.role === role)) {
        const path = typeof page.path === "function" ? page.path(given) : page.path;
        await visitor.go(path, page.status);
        await lookAt(visitor, page);
      }
    }
  };

  if (takesScreenshots) {
    for (const { image, path, open, ...look } of pictures(file)) {
      const take = async ({ visit }) => {
        const visitor = await visit(look);
        if (open) await open({ relay, given, visitor });
        else await visitor.go(typeof path === "function" ? path(given) : path);
        await visitor.page.evaluate(asInstalled, relay.folder);
        const end = await visitor.page.$eval("main", (it) => Math.ceil(it.getBoundingClientRect().bottom));
        const clip = { x: 0, y: 0, width: visitor.width, height: Math.min(end, 900) };
        const picture = join(images, `${image}.webp`);
        await visitor.screenshot(picture, { type: "webp", quality: 35, clip });
      };
      test(`${image}.webp`, withVisitors(take));
    }
    return;
  }
  for (const tongue of file.pages ? tongues : []) {
    const lookAt = (visitor, { name }) => {
      const picture = ({ width, scheme }) => join(seen, `${name}-${width}-${scheme}-${tongue.language}.png`);
      const options = { fullPage: true, optimizeForSpeed: true };
      return judgeEverywhere(visitor, (size) => visitor.screenshot(picture(size), options));
    };
    test(inWords(tongue), withVisitors(({ visit }) => each(tongue, visit, lookAt)));
  }
  for (const [name, run] of Object.entries(file.cases ?? {})) test(name, withVisitors(run));
}

// Two files at a time: much of a case is waiting. The cases of a file share a relay, so they take turns.
describe("the admin page in Chromium", { concurrency: 2 }, () => {
  for (const file of files.filter(hasWork)) describe(file.name, { concurrency: 1 }, () => register(file));
});
