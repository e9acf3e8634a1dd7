// Brings <main> up to date while somebody looks at the page and does not use it. Without this script, reload.
(() => {
  const main = () => document.getElementById("main");
  let held = 0; // until when the page is left alone
  let pressed = false; // between press and release an element must not be replaced, or its click is lost
  document.addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { pressed = false; });

  const typing = () => [...document.querySelectorAll("form input:not([type=hidden])")]
    .some((i) => i === document.activeElement || i.value !== "");
  const selecting = () => !getSelection().isCollapsed;
  const busy = () => document.hidden || pressed || typing() || selecting();
  const digest = (root) => root.querySelector("#apply input[name=digest]")?.value;

  // What was unfolded stays so, and the keyboard stays where it was.
  const swap = (next) => {
    const old = main();
    const links = (root) => [...root.querySelectorAll("a[href], button, summary")];
    const at = links(old).indexOf(document.activeElement);
    const folds = (root) => [...root.querySelectorAll("details")].map((d) =>
      [(d.parentElement.querySelector(":scope > code") ?? d.querySelector("summary")).textContent, d]);
    const open = new Set(folds(old).filter(([, d]) => d.open).map(([key]) => key));
    for (const [key, d] of folds(next)) d.open = open.has(key);
    const changed = digest(old) && digest(next) && digest(old) !== digest(next);
    old.replaceWith(next);
    if (at >= 0) links(next)[at]?.focus({ preventScroll: true });
    if (changed) pause(next.querySelector("#apply"));
  };

  // Other steps wait than those that were read: nobody shall press the button that was meant for the old ones.
  const pause = (form) => {
    const button = form.querySelector("button");
    const note = document.createElement("p");
    note.className = "bad";
    note.textContent = "What waits has changed just now. Read it again.";
    form.prepend(note);
    button.disabled = true;
    held = Date.now() + 3000;
    setTimeout(() => { button.disabled = false; }, 3000);
  };
  const refresh = async () => {
    if (busy() || Date.now() < held) return;
    const stale = document.getElementById("stale");
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: AbortSignal.timeout(10000) });
      stale.hidden = answer.status < 500;
      if (!answer.ok || busy()) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      const title = next.title;
      if (busy() || !next.getElementById("main")) return;
      swap(document.adoptNode(next.getElementById("main")));
      document.title = title;
    } catch {
      stale.hidden = false;
    }
  };

  // The answer to a form is read once; everything else is followed, a long page less often.
  if (["/apply", "/login"].includes(location.pathname)) return;
  const follow = async () => {
    const from = performance.now();
    await refresh();
    setTimeout(follow, Math.max(1000, 10 * (performance.now() - from)));
  };
  setTimeout(follow, 1000);
})();
