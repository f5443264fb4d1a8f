// What makes a page hard to read or to use; each judge returns what it finds, in words.

import axe from "axe-core";

// What axe-core finds that is serious or critical, by all its rules or these alone. `scripts`: whether
// those of the next page run.
export async function axeFindings(page, { scripts = true, rules = null } = {}) {
  // Where scripts are off, those of this page have not run by now, and do not run any more.
  await page.setJavaScriptEnabled(true);
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(axe.source);
  const violations = await page.evaluate(async (wanted) => {
    const result = await window.axe.run(document, {
      resultTypes: ["violations"],
      // A message in its frame is as its sender wrote it.
      iframes: false,
      ...(wanted && { runOnly: wanted }),
    });
    return result.violations.map(({ id, impact, help, nodes }) => ({
      id,
      impact,
      help,
      nodes: nodes.map((node) => `${node.target.join(" ")}: ${node.failureSummary}`),
    }));
  }, rules);
  await page.setJavaScriptEnabled(scripts);
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, impact, help, nodes }) => `axe: ${impact}: ${id}: ${help}\n${nodes.join("\n")}`);
}

// Whether the document is wider than the window, and what sticks out of it.
export function overflow(page) {
  return page.evaluate(() => {
    const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return [];
    const far = [...document.querySelectorAll("body *")].filter((element) => {
      return element.getBoundingClientRect().right > room + 1 && !element.closest(".scroll");
    });
    const names = far.map(({ tagName, id, className }) => `${tagName}#${id}.${className}`);
    return [`wider than the window of ${room} pixels: ${names.slice(0, 5).join(", ")}`];
  });
}

// Walks through a page with Tab. Returns what Tab does not reach, and where one does not see the focus.
export async function tabStops(page) {
  const all = await page.evaluate(() => {
    const kinds = "a[href], button, input, select, textarea, summary, [tabindex='0']";
    const isReached = (element) =>
      element.checkVisibility({ visibilityProperty: true }) &&
      !element.disabled &&
      element.type !== "hidden" &&
      element.tabIndex >= 0 &&
      // Of the choices of one question, Tab reaches one; the arrows reach the others.
      (element.type !== "radio" || element.checked);
    const reached = [...document.querySelectorAll(kinds)].filter(isReached);
    reached.forEach((element, number) => (element.dataset.tabStop = number));
    document.activeElement?.blur();
    // A list that is replaced meanwhile has no marks.
    document.addEventListener("htmx:beforeRequest", (event) => event.preventDefault());
    document.addEventListener("htmx:beforeSwap", (event) => (event.detail.shouldSwap = false));
    return reached.map((element) => element.outerHTML.slice(0, 120));
  });
  const found = [];
  const missed = new Set(all.keys());
  // Tab stops at day, month, year and calendar of a date.
  const most = all.length + 2 + 3 * (await page.$$("input[type=date]")).length;
  for (let step = 0; step < most && missed.size > 0; step += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(() => {
      const element = document.activeElement;
      if (!element || element === document.body) return null;
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      const { top, bottom, left, right } = element.getBoundingClientRect();
      return {
        number: Number(element.dataset.tabStop),
        isShown: outlineStyle !== "none" && parseFloat(outlineWidth) > 0,
        isInside: bottom > 0 && right > 0 && top < innerHeight && left < innerWidth,
      };
    });
    // Nothing, or a frame.
    if (!Number.isInteger(stop?.number)) continue;
    if (!stop.isShown) found.push(`no sign of the focus: ${all[stop.number]}`);
    if (!stop.isInside) found.push(`the focus is outside of the window: ${all[stop.number]}`);
    missed.delete(stop.number);
  }
  return [...found, ...[...missed].map((number) => `Tab does not reach: ${all[number]}`)];
}
