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

// A list does not move under the hands of somebody who selects, types or reads a menu.
function isBusy(list) {
  if (document.hidden || list.querySelector("input:checked")) return true;
  if (String(document.getSelection()) !== "") return true;
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
