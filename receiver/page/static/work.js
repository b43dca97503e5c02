// Working on a run: the side panel of a shot, decisions without leaving the page, and the keyboard.
// Without this script a shot is a separate page, and a decision leads back to the run.
"use strict";

const panel = document.getElementById("panel");
const NARROW = matchMedia("(max-width: 60rem)");
let open_ = null; // { shot, card }: what the panel shows, and how its card in the strip looked then.
let afterPanel = null; // What to do once it is closed.
let target = null; // The address of what it shows, or is about to show.
let asked = 0;

// ---- The panel.

async function openShot(url, place = "") {
  const number = ++asked;
  target = url.replace(/#.*/, "");
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  if (answer.status === 401) return location.reload();
  if (!answer.ok) return location.assign(url);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const shot = page.getElementById("live");
  if (!shot || number !== asked) return;
  show_(shot, place);
}

function show_(shot, place) {
  const isNew = open_?.shot !== shot.dataset.shot;
  open_ = { shot: shot.dataset.shot, card: lookOf(shot.dataset.shot) };
  shot.removeAttribute("id");
  shot.querySelector("[data-close]").hidden = false;
  if (isNew) {
    for (const each of shot.querySelectorAll(".history")) each.open = false;
    panel.replaceChildren(document.importNode(shot, true));
  } else morph(panel, shot.outerHTML);
  tellTimes(panel);
  const wasHidden = panel.hidden;
  panel.hidden = false;
  keepPlace(open_.shot);
  live.inert = NARROW.matches;
  if (isNew) panel.scrollTop = 0;
  mark(open_.shot);
  if (place) toPlace(place);
  else if (wasHidden) panel.focus();
}

function toPlace(place) {
  const there = panel.querySelector(`#${place}`);
  there?.scrollIntoView({ block: "nearest" });
  there?.querySelector("textarea, input:not([type=hidden])")?.focus();
}

// Back closes the panel, as people expect on a phone; reloading the page opens it again.
function keepPlace(shot) {
  const address = `#shot-${shot}`;
  if (history.state?.panel) return history.replaceState(history.state, "", address);
  history.scrollRestoration = "manual"; // When it is closed, the page stays where the keys have led by then.
  history.pushState({ panel: true }, "", address);
}

// *then*: what gets the focus instead of the shot's card.
function closePanel(then) {
  if (!panel || panel.hidden) return;
  afterPanel = then;
  if (history.state?.panel) history.back();
  else hidePanel();
}

function hidePanel() {
  if (panel.hidden) return;
  panel.hidden = true;
  live.inert = false;
  const shot = open_.shot;
  open_ = target = null;
  asked += 1;
  if (afterPanel) afterPanel();
  else linkOf(shot)?.focus({ preventScroll: true });
  afterPanel = null;
}

function cardOf(shot) {
  return document.getElementById(`shot-${shot}`);
}

function lookOf(shot) {
  const card = cardOf(shot);
  return card && card.className.replace(" here", "") + card.textContent;
}

function linkOf(shot) {
  return cardOf(shot)?.querySelector("h3 a");
}

// ---- The current shot.

let at = null;

function mark(shot) {
  at = shot;
  for (const each of document.querySelectorAll(".here")) each.classList.remove("here");
  cardOf(shot)?.classList.add("here");
  document.querySelector(`#overview a[href="#shot-${CSS.escape(shot)}"]`)?.classList.add("here");
  oneStop();
}

function jump(shot) {
  const card = cardOf(shot);
  if (!card) return;
  const scene = card.closest("details");
  if (scene) scene.open = true;
  mark(shot);
  linkOf(shot).focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
  history.replaceState(history.state, "", `#shot-${shot}`);
  if (open_) openShot(linkOf(shot).href);
}

function step(by) {
  const shots = [...document.querySelectorAll(".shot")].map((each) => each.id.slice("shot-".length));
  const from = shots.indexOf(at);
  const to = from < 0 ? (by > 0 ? 0 : shots.length - 1) : Math.min(shots.length - 1, Math.max(0, from + by));
  if (shots[to]) jump(shots[to]);
}

// ---- Decisions: sent from here; their result is shown in place.

async function decide(form, button) {
  const body = new URLSearchParams(new FormData(form, button));
  button.disabled = true;
  form.dataset.sent = "yes";
  try {
    const answer = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { Accept: "text/html" } });
    if (answer.status === 401) return location.reload();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok) {
      toast(page.querySelector("[role=alert]")?.textContent.trim() || answer.statusText, "warn");
      page.getElementById("told")?.remove();
    } else if (new URL(answer.url).pathname !== location.pathname) {
      return location.assign(answer.url);
    } else if (button.dataset.did && !page.getElementById("undo")) toast(button.dataset.did);
    live.dataset.src = page.getElementById("live")?.dataset.src || live.dataset.src; // It names what can be undone.
    if (answer.ok || answer.status === 409) delete form.dataset.typed;
    delete form.dataset.sent;
    if (page.getElementById("live")) show(page.documentElement.outerHTML);
    if (document.activeElement === document.body) document.getElementById("next-h")?.focus({ preventScroll: true });
    if (open_) openShot(target);
  } catch {
    lost.hidden = false; // Whether the decision was made is known once the receiver answers again.
    soon(AGAIN_MS);
  } finally {
    delete form.dataset.sent;
    button.disabled = false;
  }
}

document.addEventListener("submit", (event) => {
  if (!panel || !event.target.getAttribute("action").endsWith("/act") || !event.submitter) return;
  event.preventDefault();
  decide(event.target, event.submitter);
});

// The storyboard before a change that spent nothing (storyboard.js); when it is restored, its effect is shown first.
const WAS = `was:${location.pathname}`;
const before = document.getElementById("undo-storyboard");
if (before && sessionStorage.getItem(WAS) !== null) {
  before.elements.text.value = sessionStorage.getItem(WAS);
  before.hidden = false;
}
sessionStorage.removeItem(WAS);

// ---- Clicks and keys.

document.addEventListener("click", (event) => {
  if (!panel || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  if (event.target.closest("[data-close]")) return closePanel();
  if (event.target.closest("[data-leave]")) {
    event.preventDefault();
    live.dataset.src = live.dataset.src.replace(/\?.*/, "");
    return event.target.closest(".undo").remove();
  }
  const link = event.target.closest("a[href]");
  if (!link) return;
  const url = new URL(link.href);
  if (panel.contains(link) && link.getAttribute("href").startsWith("#")) {
    event.preventDefault();
    toPlace(url.hash.slice(1));
  } else if (link.closest("#overview")) {
    event.preventDefault();
    jump(decodeURIComponent(url.hash.slice("#shot-".length)));
  } else if (url.origin === location.origin && /^\/runs\/[^/]+\/shots\/[^/]+$/.test(url.pathname)) {
    event.preventDefault();
    openShot(link.href, url.hash.slice(1));
  } else if (url.pathname === location.pathname && url.hash === "#cancel") {
    const cancel = document.getElementById("cancel");
    if (cancel) cancel.open = true;
  }
});

const KEYS = {
  j: () => step(1),
  k: () => step(-1),
  a: () => {
    const asked_ = (open_ && document.querySelector(`#approve-${CSS.escape(open_.shot)}, #pick-${CSS.escape(open_.shot)}`))
      || document.querySelector("#next .decide, #next .choice");
    const lead = () => {
      asked_?.scrollIntoView({ block: "center" });
      asked_?.querySelector("button")?.focus();
    };
    if (NARROW.matches && open_) closePanel(lead);
    else lead();
  },
  r: () => at && linkOf(at) && openShot(linkOf(at).href, "retake"),
  p: () => {
    const link = (at && cardOf(at)?.querySelector(".play")) || document.querySelector(".acts .play, #so-far");
    link?.click();
  },
};

document.addEventListener("keydown", (event) => {
  if (!panel) return;
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (!document.getElementById("screen").hidden) return document.getElementById("close").click();
    return closePanel();
  }
  if (isTyping(event) || event.shiftKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

// The overview is one Tab stop, however many shots there are; inside it the arrow keys move from frame to frame.
const cells = () => [...document.querySelectorAll("#overview a")];

function oneStop(stop = document.querySelector("#overview a.here") || cells()[0]) {
  for (const cell of cells()) cell.tabIndex = cell === stop ? 0 : -1;
}

const ARROWS = {
  ArrowRight: (all, cell) => all[all.indexOf(cell) + 1],
  ArrowLeft: (all, cell) => all[all.indexOf(cell) - 1],
  ArrowDown: (all, cell) => all.slice(all.indexOf(cell) + 1).find((each) => each.offsetLeft === cell.offsetLeft),
  ArrowUp: (all, cell) => all.slice(0, all.indexOf(cell)).findLast((each) => each.offsetLeft === cell.offsetLeft),
  Home: (all) => all[0],
  End: (all) => all.at(-1),
};

document.addEventListener("keydown", (event) => {
  const cell = event.target.closest?.("#overview a");
  const next = cell && !event.ctrlKey && !event.metaKey && !event.altKey && ARROWS[event.key]?.(cells(), cell);
  if (!next) return;
  event.preventDefault();
  oneStop(next);
  next.focus();
});

document.addEventListener("focusin", (event) => {
  const cell = event.target.closest("#overview a");
  if (cell) oneStop(cell);
  const card = event.target.closest(".shot");
  if (card) mark(card.id.slice("shot-".length));
});

document.addEventListener("strip", () => {
  document.title = document.getElementById("state")?.dataset.title || document.title;
  if (at) mark(at);
  oneStop(document.activeElement.closest("#overview a") || undefined);
  if (open_ && lookOf(open_.shot) !== open_.card) openShot(target);
});

addEventListener("popstate", (event) => {
  if (!panel) return;
  history.scrollRestoration = event.state?.panel ? "manual" : "auto";
  if (event.state?.panel) openHere();
  else setTimeout(hidePanel); // Not at once: going back takes the focus from wherever it is.
});

function openHere() {
  const link = linkOf(decodeURIComponent(location.hash.slice("#shot-".length)));
  if (link) openShot(link.href);
}

// The answer to a decision has that decision's address; reloading it should load the run.
if (location.pathname.endsWith("/act")) history.replaceState(null, "", location.pathname.replace(/\/act$/, ""));
if (panel && location.hash.startsWith("#shot-")) jump(decodeURIComponent(location.hash.slice("#shot-".length)));
if (panel && history.state?.panel) openHere();
oneStop();
