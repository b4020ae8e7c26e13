// Signing: before an answer is sent, a passkey signs it; the gateway says what, and checks it.
// `/passkeys.js` speaks with the authenticator, here as where people log in.
"use strict";
(() => {
  /** What this gateway asks a passkey to sign for the answer of a form. */
  function asked(form) {
    const request = new URL(form.action).pathname.split("/").at(-2);
    const { csrf, digest } = form.elements;
    const wanted = { digest: digest.value, verdict: form.dataset.sign };
    return post(`/api/approvals/${request}/sign`, wanted, csrf.value);
  }

  async function sign(form) {
    const signed = await tapped(await asked(form));
    for (const [name, value] of Object.entries(signed)) form.elements[name].value = value;
    form.submit();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.dataset.sign) return;
    event.preventDefault();
    say("");
    sign(form).catch((error) => say(error.message));
  });
})();
