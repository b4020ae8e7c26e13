// Passkeys: carries what this gateway asks to the authenticator, and its answer back.
// Everything is decided by the gateway; nothing here is believed. Other pages that need a passkey
// use `post`, `say` and `tapped`.
"use strict";

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

/** Send a request to this gateway; its answer, or an error that says why there is none. */
async function post(path, body, csrf = document.getElementById("passkeys")?.dataset.csrf) {
  const headers = { "content-type": "application/json" };
  if (csrf) headers["x-csrf-token"] = csrf;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  return told;
}

/** What a passkey makes of a challenge; of those that are allowed, or of any that knows us. */
async function tapped({ challenge, rp_id, timeout_ms, allow = [] }) {
  const found = await navigator.credentials.get({
    publicKey: {
      challenge: decode(challenge),
      rpId: rp_id,
      allowCredentials: allow.map((id) => ({ type: "public-key", id: decode(id) })),
      timeout: timeout_ms,
      userVerification: "required",
    },
  });
  return {
    passkey: encode(found.rawId),
    client_data: encode(found.response.clientDataJSON),
    authenticator_data: encode(found.response.authenticatorData),
    signature: encode(found.response.signature),
  };
}

async function logIn() {
  const asked = await post("/login/passkey/begin", {});
  const told = await post("/login/passkey", await tapped(asked));
  location.assign(told.to);
}

async function register() {
  const asked = await post("/api/passkeys/begin", {});
  const made = await navigator.credentials.create({
    publicKey: {
      challenge: decode(asked.challenge),
      rp: { id: asked.rp_id, name: "Passavant" },
      user: { id: decode(asked.user_id), name: asked.user, displayName: asked.user },
      pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
      excludeCredentials: asked.exclude.map((id) => ({ type: "public-key", id: decode(id) })),
      timeout: asked.timeout_ms,
      attestation: "none",
      authenticatorSelection: { residentKey: "required", userVerification: "required" },
    },
  });
  await post("/api/passkeys", {
    label: document.getElementById("label").value.trim(),
    passkey: encode(made.rawId),
    client_data: encode(made.response.clientDataJSON),
    attestation: encode(made.response.attestationObject),
  });
  location.reload();
}

async function remove(passkey) {
  await post(`/api/passkeys/${passkey}/remove`, {});
  location.reload();
}

/** Do something when a person asks for it, and say what went wrong. */
function on(element, event, act) {
  element.hidden = false;
  element.addEventListener(event, (happened) => {
    happened.preventDefault();
    say("");
    act().catch((error) => say(error.message));
  });
}

if (window.PublicKeyCredential) {
  const button = document.getElementById("log-in");
  if (button) on(button, "click", logIn);
  const form = document.getElementById("register");
  if (form) on(form, "submit", register);
}
for (const each of document.querySelectorAll("[data-remove]")) {
  on(each, "click", () => remove(each.dataset.remove));
}
