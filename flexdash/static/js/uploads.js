// Handing a file in: a file that is too large is said to be before it is sent, and a long upload says that it is one.
"use strict";

(() => {
  const form = document.getElementById("upload-form");
  if (!form) return;
  const input = form.querySelector("input[type=file]");
  const button = form.querySelector("button[data-busy]");

  const isTooLarge = () => (input.files[0]?.size ?? 0) > Number(input.dataset.maxBytes);

  input.addEventListener("change", () => {
    input.setCustomValidity(isTooLarge() ? input.dataset.tooLarge : "");
    if (isTooLarge()) input.reportValidity();
  });

  form.addEventListener("submit", (event) => {
    if (isTooLarge()) {
      event.preventDefault();
      input.reportValidity();
      return;
    }
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-disabled", "true");
    // A second click while the file is on its way would send it a second time.
    button.addEventListener("click", (click) => click.preventDefault());
  });

  // Back from the next page: the button works again.
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) window.location.reload();
  });
})();
