// Shows, next to a storyboard, what it would do, a moment after the last key press. Without this script, a button does.
"use strict";

const board = document.getElementById("board");
const text = document.getElementById("text");
const PAUSE_MS = 500;
let pause = null;
let latest = 0;

async function look() {
  const number = ++latest;
  const body = new URLSearchParams(new FormData(board));
  body.set("action", "look");
  const answer = await fetch(board.getAttribute("action"), { method: "POST", body, headers: { Accept: "text/html" } }).catch(() => null);
  if (!answer || number !== latest) return;
  if (answer.status === 401) return location.reload();
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.getElementById("outlook");
  if (fresh && number === latest) document.getElementById("outlook").replaceChildren(...fresh.childNodes);
  settle();
}

function settle() {
  document.getElementById("outlook").classList.remove("old");
  for (const each of board.querySelectorAll(".look")) each.hidden = true;
}

if (text && !text.readOnly) {
  settle();
  text.addEventListener("input", () => {
    document.getElementById("outlook").classList.add("old");
    clearTimeout(pause);
    pause = setTimeout(look, PAUSE_MS);
  });
}

// A mistake leads to its line.
board.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  if (!link) return;
  event.preventDefault();
  const lines = text.value.split("\n");
  const at = Number(link.dataset.line) - 1;
  const start = lines.slice(0, at).reduce((sum, line) => sum + line.length + 1, 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[at] || "").length);
  text.scrollTop = Math.max(0, at - 4) * parseFloat(getComputedStyle(text).lineHeight);
});

// A change that spent nothing can be undone: the run's page offers the previous version (work.js).
const WAS = `was:${location.pathname.replace(/\/storyboard$/, "")}`;
sessionStorage.removeItem(WAS);
board.addEventListener("submit", (event) => {
  const isFree = event.submitter?.matches("[data-free]") && "now" in text.dataset;
  if (isFree) sessionStorage.setItem(WAS, text.defaultValue);
});
