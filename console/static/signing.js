// Signing: before an answer is sent, a passkey signs it; the gateway says what, and checks it.
"use strict";
(() => {
  const encode = (bytes) =>
    btoa(String.fromCharCode(...new Uint8Array(bytes)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");
  const decode = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

  const say = (text) => {
    document.getElementById("said").textContent = text;
  };

  /** What this gateway asks a passkey to sign for the answer of a form. */
  async function asked(form) {
    const request = new URL(form.action).pathname.split("/").at(-2);
    const answer = await fetch(`/api/approvals/${request}/sign`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-csrf-token": form.elements.csrf.value },
      body: JSON.stringify({ digest: form.elements.digest.value, verdict: form.dataset.sign }),
    });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.detail);
    return told;
  }

  async function sign(form) {
    const { challenge, rp_id, allow, timeout_ms } = await asked(form);
    const found = await navigator.credentials.get({
      publicKey: {
        challenge: decode(challenge),
        rpId: rp_id,
        allowCredentials: allow.map((id) => ({ type: "public-key", id: decode(id) })),
        timeout: timeout_ms,
        userVerification: "required",
      },
    });
    form.elements.passkey.value = encode(found.rawId);
    form.elements.client_data.value = encode(found.response.clientDataJSON);
    form.elements.authenticator_data.value = encode(found.response.authenticatorData);
    form.elements.signature.value = encode(found.response.signature);
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
