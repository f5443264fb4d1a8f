// What the page does in addition where scripts run. Everything works without this file.
"use strict";

// "/" puts the cursor into the search box, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  const box = document.getElementById("search");
  const typing = event.target.closest && event.target.closest("input, select, textarea");
  if (event.key !== "/" || typing || !box || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  box.focus();
  box.select();
});

// A browser may show a page as it was when somebody goes back to it, also after a log-out.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.replace(location.href);
});

// Whether a filter was changed, and not asked for yet.
function isFiltering() {
  const chosen = (menu) => Math.max(0, [...menu.options].findIndex((option) => option.defaultSelected));
  const isChanged = (field) =>
    field.options ? field.selectedIndex !== chosen(field) : field.value !== field.defaultValue;
  return [...document.querySelectorAll("form.search input[type=search], form.search select")].some(isChanged);
}

// A list does not move under the hands of somebody who selects, types or reads a menu.
function isBusy(list) {
  if (document.hidden || list.querySelector("input:checked")) return true;
  if (String(document.getSelection()) !== "" || isFiltering()) return true;
  const focus = document.activeElement;
  return focus !== null && focus !== document.body && focus.closest("main") !== null;
}

// Neither the question nor its answer, which may come when somebody has begun meanwhile.
document.addEventListener("htmx:beforeRequest", (event) => {
  const list = event.target;
  if (list.hasAttribute("data-live") && isBusy(list)) event.preventDefault();
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const list = event.target;
  if (list.hasAttribute("data-live") && isBusy(list)) event.detail.shouldSwap = false;
});

// The buttons of a list say for how many messages they are, and wait until there is one. A row is
// one recipient, so a message may be selected twice.
function countSelected() {
  const form = document.getElementById("selection");
  if (!form) return;
  const all = form.elements.namedItem("all");
  const boxes = document.querySelectorAll('input[name="id"][form="selection"]:checked');
  const ids = new Set([...boxes].map((box) => box.value));
  const count = all && all.checked ? all.value : ids.size;
  for (const button of form.querySelectorAll("button")) {
    button.dataset.title ??= button.textContent;
    button.textContent = count > 0 ? `${button.dataset.title} (${count})` : button.dataset.title;
    button.disabled = !(count > 0);
  }
}
document.addEventListener("change", countSelected);
document.addEventListener("htmx:afterSwap", countSelected);
// A browser that comes back to the page may have kept the selection.
window.addEventListener("pageshow", countSelected);
countSelected();
