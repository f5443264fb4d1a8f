// The judges themselves: each finds the fault that it is there for, with and without scripts.

import { strict as assert } from "node:assert";

const faults = {
  "text that is too pale": [/color-contrast/, (page) => page.$eval("h1", pale)],
  "a field without a name": [/label/, (page) => page.$eval("h1", nameless)],
  "something wider than the window": [/wider than the window/, (page) => page.$eval("h1", wide)],
};
const pale = (heading) => (heading.style.color = "#eee");
const nameless = (heading) => heading.insertAdjacentHTML("afterend", "<input>");
const wide = (heading) => (heading.style.width = "2000px");

export const cases = {
  "the judges find text that is too pale, a field without a name, and a page that is too wide": async ({ visit }) => {
    for (const scripts of [true, false]) {
      for (const [fault, [words, make]] of Object.entries(faults)) {
        const visitor = await visit({ scripts });
        await visitor.go("/");
        await make(visitor.page);
        await assert.rejects(visitor.judge(), words, `${fault}, scripts: ${scripts}`);
      }
    }
  },

  "a visitor notices a script that the page forbids, and a request that leaves it": async ({ visit }) => {
    const visitor = await visit();
    await visitor.go("/");
    await visitor.page.evaluate(async () => {
      const script = document.createElement("script");
      script.textContent = "document.title = 'changed'";
      document.head.append(script);
      await fetch("http://127.0.0.1:9/").catch(() => {});
    });
    assert.notEqual(await visitor.page.title(), "changed");
    await assert.rejects(visitor.judge(), /Content Security Policy/);
    visitor.faults.length = 0;
    await visitor.page.goto("http://elsewhere.example/").catch(() => {});
    assert.match(visitor.faults.join(), /leaves the page: http:\/\/elsewhere\.example/);
    visitor.faults.length = 0;
  },

  "the judge of the keyboard finds a focus that nobody sees, and what Tab does not reach": async ({ visit }) => {
    const visitor = await visit();
    await visitor.go("/");
    await visitor.judgeKeyboard();
    await visitor.page.$eval("header button", (button) => (button.style.outline = "none"));
    await assert.rejects(visitor.judgeKeyboard(), /no sign of the focus: <button/);
    await visitor.page.$eval("header button", (button) => {
      button.addEventListener("focus", () => button.closest("header").querySelector("a").focus());
    });
    await assert.rejects(visitor.judgeKeyboard(), /Tab does not reach/);
  },
};
