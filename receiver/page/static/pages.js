// The lists: a callback in a side panel, copying, the tab's title, and keys. Without this script every link leads to a page.
"use strict";

const side = document.getElementById("side");
const body = document.getElementById("side-body");
const search = document.querySelector("[type=search]");
let opener = null;

// --- the side panel ---

async function openPanel(link) {
  try {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const panel = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("panel");
    if (!answer.ok || !panel) return location.assign(link.href);
    opener = link.closest("tr")?.id || null;
    body.replaceChildren(panel);
    panel.removeAttribute("id");
    showCopies(panel);
    mark();
    if (!side.open) side.show();
    body.focus({ preventScroll: true });
    body.scrollTop = 0;
  } catch {
    location.assign(link.href);
  }
}

function closed() {
  const row = opener && document.getElementById(opener);
  opener = null;
  mark();
  row?.querySelector("a")?.focus();
}

function mark() {
  for (const row of document.querySelectorAll("tr.is-open")) row.classList.remove("is-open");
  if (opener) document.getElementById(opener)?.classList.add("is-open");
}

side?.addEventListener("close", closed);
side?.addEventListener("keydown", (event) => {
  if (event.key === "Escape") side.close();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-panel]");
  if (!link || !side || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openPanel(link);
});

// --- copying: only where a browser lets us (https, or this machine) ---

function showCopies(within) {
  if (navigator.clipboard) for (const each of within.querySelectorAll(".copy")) each.hidden = false;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = button.closest(".panel, main").querySelector(`#${button.dataset.copy}`);
  await navigator.clipboard.writeText(source.textContent);
  const before = button.textContent;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = before), 2000);
});

// --- updated automatically: the number in the tab's title ---

document.addEventListener("strip", () => {
  mark();
  const needs = document.getElementById("needs");
  if (!needs) return;
  const bare = document.title.replace(/^\(\d+\) /, "");
  document.title = needs.value === "0" ? bare : `(${needs.value}) ${bare}`;
});

// --- keys: j and k move through the list, Enter opens, / searches, n starts a film ---

function places() {
  return [...document.querySelectorAll("main a.go")];
}

function go(step) {
  const all = places();
  const here = all.findIndex((each) => each === document.activeElement || each.closest("tr.is-open"));
  const next = all[Math.min(all.length - 1, Math.max(0, here < 0 ? 0 : here + step))];
  next?.focus();
  if (next && side?.open && next.dataset.panel !== undefined) openPanel(next);
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.target.closest?.("input, textarea, select, [contenteditable], dialog:modal")) return;
  const deeds = { j: () => go(1), k: () => go(-1), "/": () => search?.focus(), n: () => location.assign("/new") };
  const deed = deeds[event.key];
  if (!deed || (event.key === "/" && !search)) return;
  event.preventDefault();
  deed();
});

// Escape closes a menu; manners.js does so on a click elsewhere.
document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

showCopies(document);
