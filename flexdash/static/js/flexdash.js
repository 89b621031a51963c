// What makes a page livelier. Every task works without it.
"use strict";

(() => {
  // An element with data-live-url is fetched anew every data-live-seconds until the answer no longer carries it.
  const follow = (element) => {
    const seconds = Math.max(1, Number(element.dataset.liveSeconds) || 3);
    let wait = seconds;

    const later = () => window.setTimeout(look, wait * 1000);

    const look = async () => {
      if (!element.isConnected) return;
      if (document.hidden) {
        document.addEventListener("visibilitychange", look, { once: true });
        return;
      }
      try {
        const answer = await fetch(element.dataset.liveUrl, { headers: { Accept: "text/html" } });
        if (answer.redirected || answer.status === 401 || answer.status === 403 || answer.status === 404) {
          window.location.reload(); // signed out, or gone: the page itself says what happened
          return;
        }
        if (!answer.ok) throw new Error(`answer ${answer.status}`);
        replace(await answer.text());
      } catch (error) {
        // The network or the server is away for a moment: ask less often, and show the last state meanwhile.
        wait = Math.min(wait * 2, 60);
        later();
      }
    };

    // The token of a form differs with every answer, and says nothing of what the page shows.
    const shown = (part) => part.outerHTML.replace(/name="csrf_token" value="[^"]*"/g, "");

    const replace = (html) => {
      const fresh = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
      wait = seconds;
      if (!fresh) return;
      if (shown(fresh) === shown(element)) {
        later();
        return;
      }
      const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
      element.replaceWith(fresh);
      if (focused) document.getElementById(focused)?.focus();
      if (fresh.dataset.liveUrl) follow(fresh);
    };

    later();
  };

  document.querySelectorAll("[data-live-url]").forEach(follow);

  // Browsers that leave autofocus to form fields: the summary of errors still gets the focus.
  const summary = document.querySelector("[data-focus]");
  if (summary && document.activeElement !== summary) summary.focus();

  // On a phone the filters of a list are folded away, unless something is chosen in them.
  const phone = window.matchMedia("(width < 40rem)");
  const folds = document.querySelectorAll(".filters-fold");
  const fold = () => folds.forEach((filters) => (filters.open = !phone.matches || "isSet" in filters.dataset));
  fold();
  phone.addEventListener("change", fold);

  // One box that ticks all boxes of a name; without script each is ticked by itself.
  document.querySelectorAll("[data-tick-all]").forEach((label) => {
    const boxes = document.querySelectorAll(`input[type="checkbox"][name="${label.dataset.tickAll}"]`);
    if (!boxes.length) return;
    label.hidden = false;
    const all = label.querySelector("input");
    all.addEventListener("change", () => boxes.forEach((box) => (box.checked = all.checked)));
    boxes.forEach((box) => box.addEventListener("change", () => (all.checked = [...boxes].every((one) => one.checked))));
  });

  // The phone menu closes with Escape, and the focus goes back to its button.
  const menu = document.querySelector(".phone-menu");
  menu?.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
})();
