// What a script adds to every page: times in the reader's zone, a line about the last action, and the keyboard's list
// of places. Without it, times are in UTC, and links lead to everything else. Words come from the templates.
"use strict";

const LANGUAGE = document.documentElement.lang || "en";
const UNITS = [["day", 86400], ["hour", 3600], ["minute", 60]];
const TOAST_MS = 6000;
const FIND_MS = 150; // A pause while somebody types.

// ---- Times: <time datetime data-form="clock | date | ago">

function timeWords(at, form) {
  if (form === "ago") {
    const seconds = (at - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) || ["minute", 60];
    return new Intl.RelativeTimeFormat(LANGUAGE, { numeric: "auto" }).format(Math.round(seconds / size), unit);
  }
  const today = at.toDateString() === new Date().toDateString();
  const day = form === "date" || !today ? { month: "short", day: "numeric" } : {};
  const clock = form === "date" ? { hour: "2-digit", minute: "2-digit" } : { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat(LANGUAGE, { ...day, ...clock }).format(at);
}

function tellTimes(root = document) {
  for (const each of root.querySelectorAll("time[data-form]")) {
    const at = new Date(each.dateTime);
    each.textContent = timeWords(at, each.dataset.form);
    each.title = new Intl.DateTimeFormat(LANGUAGE, { dateStyle: "full", timeStyle: "long" }).format(at);
  }
}

// ---- A line about the last action, and whether it succeeded.

function toast(words, kind = "good") {
  const line = document.createElement("p");
  line.className = `notice ${kind}`;
  line.textContent = words;
  if (kind === "bad" || kind === "warn") line.setAttribute("role", "alert");
  document.getElementById("toasts").replaceChildren(line);
  setTimeout(() => line.remove(), kind === "good" ? TOAST_MS : 2 * TOAST_MS);
}

// ---- The palette: places and actions of this page, and runs by their titles.

const palette = document.getElementById("palette");
const keysList = document.getElementById("keys");
let places = [];
let finding = null;

// The words of a link, without the counts and sizes next to them.
function wordsOf(link) {
  return [...link.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("").trim();
}

function placesHere() {
  const of = (kind, links, name = wordsOf) =>
    [...links].map((link) => ({ kind, link, name: name(link) })).filter((each) => each.name);
  return [
    ...of("action", document.querySelectorAll(".acts a, .menu a")),
    ...of("shot", document.querySelectorAll("#overview a"), (link) => link.title.split(":")[0]),
    ...of("page", document.querySelectorAll(".top nav a")),
  ];
}

async function runsCalled(text) {
  const answer = await fetch(`/v1/runs?limit=6${text ? `&q=${encodeURIComponent(text)}` : ""}`);
  if (!answer.ok) return [];
  return (await answer.json()).data.map((run) => ({ kind: "run", href: `/runs/${run.id}`, name: run.title || run.id }));
}

function openPalette() {
  if (!palette || palette.open) return;
  places = placesHere();
  palette.showModal();
  const field = document.getElementById("goto");
  field.value = "";
  field.focus();
  showHits();
  findRuns();
}

function showHits(runs = []) {
  const wanted = document.getElementById("goto").value.trim().toLowerCase();
  const rank = (each) => each.name.toLowerCase().indexOf(wanted);
  const hits = places.filter((each) => rank(each) >= 0).sort((one, other) => (wanted ? rank(one) - rank(other) : 0));
  const list = document.getElementById("hits");
  const lines = [...hits.slice(0, 9), ...runs].map((each, at) => hitLine(each, at, list));
  list.replaceChildren(...(lines.length ? lines : [document.createElement("li")]));
  if (!lines.length) {
    list.firstChild.setAttribute("role", "option");
    list.firstChild.setAttribute("aria-disabled", "true");
    list.firstChild.textContent = list.dataset.none;
  }
  choose(runs.length ? Number(document.getElementById("goto").dataset.at) : 0);
}

function hitLine(hit, at, list) {
  const line = document.createElement("li");
  line.id = `hit-${at}`;
  line.setAttribute("role", "option");
  line.append(hit.name);
  const kind = document.createElement("span");
  kind.className = "hint";
  kind.textContent = list.dataset[hit.kind];
  line.append(kind);
  line.addEventListener("click", () => go(hit));
  line.hit = hit;
  return line;
}

function choose(at) {
  const lines = [...document.getElementById("hits").children].filter((line) => line.hit);
  lines.forEach((line, place) => line.setAttribute("aria-selected", place === at ? "true" : "false"));
  const field = document.getElementById("goto");
  if (lines[at]) field.setAttribute("aria-activedescendant", lines[at].id);
  else field.removeAttribute("aria-activedescendant");
  lines[at]?.scrollIntoView({ block: "nearest" });
  field.dataset.at = at;
}

function go(hit) {
  palette.close();
  if (hit.href) location.assign(hit.href);
  else hit.link.click();
}

palette?.addEventListener("keydown", (event) => {
  const lines = [...document.getElementById("hits").children].filter((line) => line.hit);
  const at = Number(document.getElementById("goto").dataset.at || 0);
  if (event.key === "ArrowDown") choose(Math.min(at + 1, lines.length - 1));
  else if (event.key === "ArrowUp") choose(Math.max(at - 1, 0));
  else if (event.key === "Enter" && lines[at]) go(lines[at].hit);
  else return;
  event.preventDefault();
});

document.getElementById("goto")?.addEventListener("input", () => {
  showHits();
  findRuns();
});

function findRuns() {
  clearTimeout(finding);
  const text = document.getElementById("goto").value.trim();
  finding = setTimeout(async () => {
    const runs = await runsCalled(text).catch(() => []);
    if (runs.length && palette.open && document.getElementById("goto").value.trim() === text) showHits(runs);
  }, FIND_MS);
}

for (const dialog of [palette, keysList]) {
  dialog?.addEventListener("click", (event) => event.target === dialog && dialog.close());
}

// ---- Keys of every page; those of a run are in work.js.

function isTyping(event) {
  return event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")
    || event.target.closest("input, textarea, select, [contenteditable], video");
}

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k" && palette) {
    event.preventDefault();
    return openPalette();
  }
  if (event.key === "?" && keysList && !isTyping(event)) keysList.showModal();
});

// On a phone the row of pages is wider than the screen: the current page is scrolled into view.
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });

const find = document.getElementById("find");
if (find) {
  if (/Mac|iPhone|iPad/.test(navigator.userAgent)) for (const each of document.querySelectorAll(".find kbd")) each.textContent = "⌘K";
  find.hidden = false;
  find.addEventListener("click", openPalette);
}

// A menu closes when something else is clicked.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest("a")) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  const menu = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!menu) return;
  menu.open = false;
  menu.querySelector("summary").focus();
});

document.addEventListener("strip", () => tellTimes());
tellTimes();

// ---- Pictures and clips that are gone: the receiver draws words in their place (receiver/page/gone.py); files that are
// made again appear by themselves.

const AGAIN = { ms: 2000, tries: 15 };
const watched = new WeakSet();
const looked = new WeakMap(); // For each clip, the address that was asked about,
const gone = new WeakMap(); // and, if nothing is there: that address, and the poster that words have replaced.

async function comesAgain(url) {
  for (let tries = 0; tries < AGAIN.tries; tries += 1) {
    await new Promise((done) => setTimeout(done, AGAIN.ms));
    const answer = await fetch(url, { method: "HEAD", cache: "reload" }).catch(() => null);
    if (answer?.ok) return true;
    if (answer && answer.status !== 503) return false;
  }
  return false;
}

async function watchPicture(picture) {
  const url = picture.currentSrc;
  const isLate = performance.getEntriesByName(url).at(-1)?.responseStatus === 503;
  if (!isLate || watched.has(picture)) return;
  watched.add(picture);
  if (await comesAgain(url)) {
    await fetch(url, { cache: "reload" }).catch(() => null);
    picture.src = `${picture.getAttribute("src").replace(/#.*/, "")}#again`;
  }
}

// For a clip that it cannot play, a player has only its poster: that is drawn at the clip's own address.
async function watchClip(clip) {
  const url = clip.currentSrc;
  if (!url || looked.get(clip) === url) return;
  looked.set(clip, url);
  const answer = await fetch(url, { method: "HEAD", cache: "reload" }).catch(() => null);
  if (!answer || answer.ok) return;
  gone.set(clip, { url, poster: clip.poster });
  clip.poster = url;
  if (answer.status !== 503 || !(await comesAgain(url))) return;
  clip.poster = gone.get(clip).poster;
  gone.delete(clip);
  looked.delete(clip);
  clip.load();
}

// A page that is fetched again does not know about that, and brings back the old posters (live.js).
function drawGone(node) {
  for (const clip of node.querySelectorAll("video")) {
    const words = gone.get(clip);
    if (!words || clip.poster === words.url) continue;
    if (clip.src !== words.url) gone.delete(clip);
    else {
      words.poster = clip.poster;
      clip.poster = words.url;
    }
  }
}

document.addEventListener("load", (event) => event.target.matches?.("img") && watchPicture(event.target), true);
document.addEventListener("error", (event) => event.target.matches?.("video") && watchClip(event.target), true);
for (const each of document.images) if (each.complete) watchPicture(each);
for (const each of document.querySelectorAll("video")) if (each.error) watchClip(each);
