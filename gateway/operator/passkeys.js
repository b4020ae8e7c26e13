// Passkeys: carries what this gateway asks to the authenticator, and its answer back.
// Everything is decided by the gateway; nothing here is believed.
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
async function post(path, body) {
  const list = document.getElementById("passkeys");
  const headers = { "content-type": "application/json" };
  if (list) headers["x-csrf-token"] = list.dataset.csrf;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.detail);
  return told;
}

async function logIn() {
  const asked = await post("/login/passkey/begin", {});
  const found = await navigator.credentials.get({
    publicKey: {
      challenge: decode(asked.challenge),
      rpId: asked.rp_id,
      timeout: asked.timeout_ms,
      userVerification: "required",
    },
  });
  const told = await post("/login/passkey", {
    passkey: encode(found.rawId),
    client_data: encode(found.response.clientDataJSON),
    authenticator_data: encode(found.response.authenticatorData),
    signature: encode(found.response.signature),
  });
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
