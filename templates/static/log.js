// Keeps an unfinished page up to date: follows the log shown, and takes the page's parts anew.
// Without it everything is still there to read; the page then has to be loaded again by hand.
"use strict";

const main = document.getElementById("main");
const started = new WeakSet();
const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const logBox = () => document.getElementById("log");
const atEnd = (box) => box.scrollHeight - box.scrollTop - box.clientHeight < 40;
const toEnd = (box) => { box.scrollTop = box.scrollHeight; };

// A reader who scrolled up is not disturbed.
const isReading = (box) => box !== null && !atEnd(box);

async function follow(box) {
  const { follow: address, ...place } = box.dataset;
  const unfinished = box.querySelector(".unfinished");
  for (let failures = 0; box.isConnected; ) {
    const query = new URLSearchParams({ ...place, wait: "20" });
    const answer = await fetch(`${address}&${query}`).catch(() => null);
    if (!answer || !answer.ok) {
      await pause(Math.min(60, 2 ** ++failures));
      continue;
    }
    failures = 0;
    const lines = await answer.json();
    const pinned = atEnd(box);
    unfinished.insertAdjacentHTML("beforebegin", lines.html);
    unfinished.innerHTML = lines.unfinished;
    if (pinned) toEnd(box);
    if (lines.complete) return completed(box);
    Object.assign(place, { offset: lines.offset, line: lines.line, state: lines.state });
    if (!lines.html) await pause(1); // a line that has not ended answers at once
  }
}

async function completed(box) {
  delete box.dataset.follow;
  document.querySelector(".following")?.remove();
  await refresh();
}

// Takes the current page and puts its parts where the old ones stand.
async function refresh() {
  const answer = await fetch(location.href).catch(() => null);
  if (!answer || !answer.ok) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.title = fresh.title;
  const parts = Array.from(fresh.querySelectorAll("#main > [id]"));
  // Looking goes on while a part waits for the keyboard to leave it, even at the end of a build.
  if (!parts.map(replace).includes("held")) {
    main.dataset.refresh = fresh.getElementById("main").dataset.refresh;
  }
}

function replace(part) {
  const old = document.getElementById(part.id);
  if (!old || old.innerHTML === part.innerHTML) return "same";
  if (old.contains(document.activeElement)) return "held";
  const box = old.querySelector("#log");
  if (box && (box.dataset.follow || isReading(box))) return "read";
  old.replaceWith(part);
  start();
  return "new";
}

function start() {
  const box = logBox();
  if (!box || started.has(box)) return;
  started.add(box);
  if (!location.hash.startsWith("#L")) toEnd(box);
  if (box.dataset.follow) follow(box);
}

async function watch() {
  for (let waited = 1; Number(main.dataset.refresh); waited++) {
    await pause(1);
    // While a log is followed its end brings the news; looking is only a safeguard then.
    if (waited < (logBox()?.dataset.follow ? 30 : Number(main.dataset.refresh))) continue;
    waited = 0;
    if (!document.hidden) await refresh();
  }
}

start();
watch();
