// Brings the page up to date while it is looked at and nobody is filling in a form. Without it, reload.
(() => {
  const busy = () => document.hidden ||
    [...document.querySelectorAll("form input:not([type=hidden])")].some((i) => i === document.activeElement || i.value !== "");
  const refresh = async () => {
    try {
      if (busy() || location.pathname === "/apply" || location.pathname === "/login") return;
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok || busy()) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
      const open = [...document.querySelectorAll("details[open] > summary")].map((s) => s.textContent);
      document.getElementById("main").replaceWith(next);
      for (const s of document.querySelectorAll("details > summary")) s.parentElement.open = open.includes(s.textContent);
    } catch {
      document.body.dataset.offline = "true";
    }
  };
  setInterval(refresh, 1000);
})();
