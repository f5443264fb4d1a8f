// A person with a browser: opens pages of one relay, and notices everything that goes wrong there.

import { strict as assert } from "node:assert";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import puppeteer from "puppeteer-core";
import { axeFindings, overflow, tabStops } from "./judges.mjs";
import { OFTEN, PATIENCE, until } from "./process.mjs";

// Chromium, without a window and without a way out of this machine.
export function chromium() {
  const args = ["--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost", "--disable-gpu"];
  // Its own sandbox needs another user than root.
  if (process.getuid() === 0) args.push("--no-sandbox");
  const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
  return puppeteer.launch({ executablePath, args, headless: true, protocolTimeout: PATIENCE * 3 });
}

// More presses of Tab than any page here needs.
const MOST_TABS = 100;

// How somebody looks at the page.
export const USUAL = { width: 1280, scheme: "light", scripts: true, language: "en" };

export class Visitor {
  // `role` is viewer, operator or administrator; null does not log in.
  static async open(browser, relay, { role = "administrator", ...look } = {}) {
    const visitor = new Visitor();
    Object.assign(visitor, { relay, faults: [], expected: new Set() }, USUAL, look);
    visitor.origins = [relay.origin];
    visitor.context = await browser.createBrowserContext();
    visitor.page = await visitor.context.newPage();
    await visitor.setUp();
    if (role !== null) await visitor.logIn(role);
    return visitor;
  }

  async setUp() {
    const { page } = this;
    page.setDefaultTimeout(PATIENCE);
    await this.turn({ width: this.width, scheme: this.scheme });
    await page.setJavaScriptEnabled(this.scripts);
    await page.setExtraHTTPHeaders({ "Accept-Language": this.language });
    page.on("console", (message) => {
      const isExpected = this.expected.size > 0 && message.text().includes("Failed to load resource");
      if (["error", "warn"].includes(message.type()) && !isExpected) {
        this.faults.push(`the console says: ${message.text()}`);
      }
    });
    page.on("pageerror", (error) => this.faults.push(`a script fails: ${error.message}`));
    page.on("request", (request) => {
      const url = new URL(request.url());
      const isOwn = this.origins.includes(url.origin) || url.protocol === "data:";
      if (!isOwn) this.faults.push(`a request leaves the page: ${url}`);
    });
    page.on("response", (response) => {
      const status = response.status();
      if (status >= 400 && !this.expected.has(status)) {
        this.faults.push(`${response.url()}: ${status}`);
      }
    });
  }

  // Makes the window as wide as that, and light or dark.
  async turn({ width, scheme }) {
    Object.assign(this, { width, scheme });
    await this.page.setViewport({ width, height: width < 640 ? 844 : 800 });
    await this.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  }

  // Logs in with a link, as the person who runs `graph-relay page` does.
  async logIn(role) {
    await this.page.goto(await this.relay.link(role));
    await this.follow(() => this.page.click("main button"));
  }

  // Opens a path of the page, or a whole address of it. `status` is the answer that is expected.
  async go(path, status = 200) {
    this.expected = new Set(status >= 400 ? [status] : []);
    const response = await this.page.goto(new URL(path, this.relay.origin).href);
    assert.equal(response.status(), status, path);
  }

  // Opens a path until its page has what a selector names: a page shows what was a moment ago, and
  // without scripts it stays so.
  async goUntil(path, selector) {
    await until(async () => {
      await this.go(path);
      return (await this.count(selector)) > 0;
    }, `${path} has ${selector}`);
  }

  // Does something that leads to another page, and waits for that page.
  async follow(deed) {
    await Promise.all([this.page.waitForNavigation(), deed()]);
  }

  // Clicks on what a selector names (also by text: `::-p-text(Retry)`), and waits for the next page.
  async press(selector) {
    await this.follow(() => this.page.click(selector));
  }

  // Writes into a field, in place of what it has.
  async fill(selector, text) {
    await this.page.$eval(selector, (field) => {
      field.value = "";
      field.focus();
    });
    await this.page.keyboard.type(text);
  }

  // Goes on with Tab to what a selector names, as somebody without a mouse does.
  async tabTo(selector) {
    for (let step = 0; step < MOST_TABS; step += 1) {
      await this.page.keyboard.press("Tab");
      if (await this.page.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return;
    }
    assert.fail(`Tab does not lead to ${selector} on ${this.path}`);
  }

  // Goes there with Tab, presses Enter, and waits for the next page.
  async enter(selector) {
    await this.tabTo(selector);
    await this.follow(() => this.page.keyboard.press("Enter"));
  }

  // Goes to a field with Tab, and writes into it in place of what it has.
  async typeInto(selector, text) {
    await this.tabTo(selector);
    await this.page.keyboard.down("Control");
    await this.page.keyboard.press("a");
    await this.page.keyboard.up("Control");
    await this.page.keyboard.type(text);
  }

  // What a person reads in an element.
  async text(selector = "main") {
    return this.page.$eval(selector, (element) => element.innerText);
  }

  get path() {
    const { pathname, search } = new URL(this.page.url());
    return pathname + search;
  }

  async count(selector) {
    return (await this.page.$$(selector)).length;
  }

  // Waits until a text stands on the page, which changes by itself.
  async sees(text, selector = "main") {
    // A page that goes on to another meanwhile has no text to give.
    const shown = () => this.text(selector).catch(() => "");
    const deadline = Date.now() + PATIENCE;
    while (!(await shown()).includes(text)) {
      assert.ok(Date.now() < deadline, `no "${text}" in ${selector}: ${await shown()}`);
      await new Promise((next) => setTimeout(next, OFTEN));
    }
  }

  // The same on a page that moves by itself only where scripts run: elsewhere it has a link to
  // load it again.
  async seesAfterReload(text, selector = "main") {
    const shown = () => this.text(selector).catch(() => "");
    const deadline = Date.now() + PATIENCE;
    while (!(await shown()).includes(text)) {
      assert.ok(Date.now() < deadline, `no "${text}" in ${selector}: ${await shown()}`);
      if (await this.count("#reload").catch(() => 0)) await this.press("#reload");
      else await new Promise((next) => setTimeout(next, OFTEN));
    }
  }

  // Nothing on this page keeps anybody from reading or using it. `rules`: these of axe-core alone.
  async judge(rules = null) {
    const { page, scripts } = this;
    const wide = await overflow(page);
    const found = await axeFindings(page, { scripts, rules });
    const look = `${this.path} at ${this.width} pixels, ${this.scheme}`;
    assert.deepEqual([...this.faults, ...wide, ...found], [], look);
  }

  // Everything on this page can be reached and seen with Tab alone.
  async judgeKeyboard() {
    assert.deepEqual(await tabStops(this.page), [], this.path);
  }

  async screenshot(file, options = {}) {
    await mkdir(dirname(file), { recursive: true });
    await this.page.screenshot({ path: file, ...options });
  }
}
