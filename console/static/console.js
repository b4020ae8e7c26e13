// Keys, copying and times in the reader's zone. Every page is whole without this.
"use strict";
(() => {
  const PLACES = { n: "/", a: "/approvals", r: "/runs", l: "/audit", g: "/agents", t: "/servers", p: "/policies", o: "/log", x: "/stop", s: "/settings" };
  const STORED = "passavant-keys";
  let began = false;

  const isTyping = (element) =>
    element.closest("input, textarea, select, [contenteditable]") !== null;
  const rows = () => [...document.querySelectorAll("[data-rows] a[data-row]")];

  function move(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    all[Math.max(0, Math.min(all.length - 1, at < 0 ? 0 : at + by))].focus();
  }

  const KEYS = {
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => location.assign("/help"),
    j: () => move(1),
    k: () => move(-1),
    d: () => document.querySelector("[data-deny]")?.focus(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (localStorage.getItem(STORED) === "off") return;
    const place = began ? PLACES[event.key] : undefined;
    began = event.key === "g" && !began;
    const act = place ? () => location.assign(place) : KEYS[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("[data-copy]");
    if (!copy) return;
    await navigator.clipboard.writeText(copy.dataset.copy);
    document.getElementById("said").textContent = "Copied.";
  });

  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest("time[datetime]");
    if (time) time.title = new Date(time.dateTime).toLocaleString();
  });

  // A page that could not ask for itself anew asks again: what it shows would stay as it was.
  document.addEventListener("htmx:error", (event) => {
    if (event.target.id !== "live") return;
    setTimeout(() => document.getElementById("stream")?.dispatchEvent(new Event("news")), 3000);
  });

  const keys = document.getElementById("keys");
  if (keys) {
    keys.hidden = false;
    const box = keys.querySelector("input");
    box.checked = localStorage.getItem(STORED) !== "off";
    box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));
  }
})();
