// Keeps the page current: listens for changes of the run, fetches the part that changes, and morphs it in.
// Without this script everything can be read and done; the page is then as current as its last load.
"use strict";

const live = document.getElementById("live");
const lost = document.getElementById("lost");
const AGAIN_MS = 3000; // After a stream was lost, and between two looks at something where seconds count.
const TOGETHER_MS = 150; // Events that come together are one change of the page.
const ANSWER_MS = 20000; // An answer that takes longer than this has been lost.
const LOOKS = 10; // After this many rounds without news a page asks anyway.

let stream = null;
let planned = null;
let fetching = false;
let wanted = false;
let patience = null;
let changes = 0; // Of the page: whatever was requested before the last one is older than what is shown.
let looks = 0;

async function refresh() {
  planned = null;
  if (fetching) {
    wanted = true;
    return;
  }
  fetching = true;
  const before = changes;
  try {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const answer = await fetch(live.dataset.src || location.href, { headers: { Accept: "text/html" }, signal });
    if (answer.status === 401) return location.reload(); // The session is over: the form asks for the key.
    if (!answer.ok) throw new Error(answer.statusText);
    const html = await answer.text();
    if (changes === before) show(html);
    else wanted = true; // Somebody has made a decision here since, and the answer to that is newer.
    if (!patience) lost.hidden = true;
  } catch {
    lost.hidden = false;
    soon(AGAIN_MS);
  } finally {
    fetching = false;
    if (wanted) soon(TOGETHER_MS);
    wanted = false;
  }
}

function soon(ms) {
  planned = planned || setTimeout(refresh, ms);
}

function show(html) {
  changes += 1;
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = page.getElementById("live") || page.body;
  morph(live, fresh.innerHTML);
  document.dispatchEvent(new Event("strip"));
  if (isLive() && !patience) listen(); // A retake makes a run that has ended live again.
}

// The content of *node* becomes *html*, and only differences are touched; work.js does this with its panel.
function morph(node, html) {
  Idiomorph.morph(node, html, {
    morphStyle: "innerHTML",
    callbacks: { beforeNodeMorphed: keepTyped, beforeAttributeUpdated: keepOpen, beforeNodeRemoved: keepBegun },
  });
  drawGone(node);
}

// A form that somebody has begun to fill in stays as it is; only the revision that it refers to is updated. The same is
// true of the field with the focus, but of nothing else: the words of a link or a heading are never older than the run.
function keepTyped(old, fresh) {
  if (old === document.activeElement && old.matches("input, textarea, select")) return false;
  if (old.nodeName === "FORM" && old.dataset.sent) return false; // Its button waits for the answer.
  if (old.nodeName !== "FORM" || !old.dataset.typed) return true;
  const revision = fresh.querySelector?.("[name=revision]");
  if (revision) old.querySelector("[name=revision]").value = revision.value;
  return false;
}

function keepBegun(node) {
  return !(node.querySelector && node.querySelector("form[data-typed]"));
}

function keepOpen(name, node) {
  return !(name === "open" && node.nodeName === "DETAILS") && name !== "data-typed";
}

document.addEventListener("input", (event) => {
  if (event.target.form) event.target.form.dataset.typed = "yes";
});

// A hidden tab closes its stream: a browser keeps six connections to a host, and each stream would occupy one forever.
function leave() {
  stream?.close();
  stream = null;
  clearTimeout(patience);
  patience = null;
}

function listen() {
  if (!live.dataset.events || stream || document.hidden) return;
  stream = new EventSource(live.dataset.events);
  for (const name of live.dataset.names.split(" ")) stream.addEventListener(name, () => soon(TOGETHER_MS));
  stream.onopen = () => {
    clearTimeout(patience);
    patience = null;
    soon(TOGETHER_MS);
  };
  stream.onerror = broken;
}

// The stream also ends when the run does: then the server tells the browser not to reconnect, and nothing is lost.
function broken() {
  if (stream.readyState === EventSource.CLOSED) stream = null;
  soon(TOGETHER_MS);
  patience = patience || setTimeout(worry, AGAIN_MS / 2);
}

function worry() {
  patience = null;
  if (!isLive()) return;
  lost.hidden = false;
  patience = setTimeout(worry, AGAIN_MS);
  listen();
}

function isLive() {
  return document.getElementById("state")?.dataset.live === "yes";
}

function look() {
  if (document.hidden) return;
  looks += 1;
  if (looks % LOOKS === 0 || live.dataset.every || document.getElementById("state")?.dataset.moving === "yes") soon(0);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return leave();
  soon(0);
  listen();
});
setInterval(look, (live.dataset.every || 3) * 1000);
listen();
