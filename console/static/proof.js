// The proof of an entry once more, by this browser: SHA-256 up to the root, then Ed25519.
// Written apart from the gateway's own check, so that one mistake cannot hide in both; the names of
// RFC 9162, section 2.1.3.2 (fn, sn, r) are kept. Texts are put into the page as text alone.
"use strict";
(() => {
  const place = document.getElementById("recheck");
  if (!place) return;

  const bytesOf = (text) => new TextEncoder().encode(text);
  const hex = (bytes) => [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
  const joined = (...parts) => Uint8Array.from(parts.flatMap((part) => [...part]));
  const isSame = (one, other) => hex(one) === hex(other);
  const sha256 = async (...parts) =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", joined(...parts)));

  function decoded(text) {
    const binary = atob(text);
    if (btoa(binary) !== text) throw new Error("base64 with more than one spelling");
    return Uint8Array.from(binary, (each) => each.charCodeAt(0));
  }

  function readProof(text) {
    const split = text.indexOf("\n\n");
    const [header, ...lines] = text.slice(0, split).split("\n");
    if (split < 0 || header !== "c2sp.org/tlog-proof@v1") throw new Error("this is no proof");
    if (lines[0]?.startsWith("extra ")) lines.shift();
    const index = /^index (0|[1-9][0-9]{0,18})$/.exec(lines.shift() ?? "");
    if (!index) throw new Error("the proof names no entry");
    const path = lines.map(decoded);
    if (path.some((each) => each.length !== 32)) throw new Error("a hash is not 32 bytes long");
    return { index: BigInt(index[1]), path, note: text.slice(split + 2) };
  }

  function readNote(note) {
    const end = note.lastIndexOf("\n\n");
    if (end < 0 || !note.endsWith("\n")) throw new Error("the checkpoint is not signed");
    const text = note.slice(0, end + 1);
    const [origin, size, root] = text.split("\n");
    if (!/^(0|[1-9][0-9]{0,18})$/.test(size ?? "")) throw new Error("the checkpoint has no size");
    const lines = note.slice(end + 2, -1).split("\n");
    const signatures = lines.map((line) => /^\u2014 (\S+) (\S+)$/.exec(line));
    if (signatures.includes(null)) throw new Error("a line of the checkpoint is no signature");
    return { text, origin, size: BigInt(size), root: decoded(root ?? ""), signatures };
  }

  async function readKey(vkey) {
    const found = /^([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/.exec(vkey.trim());
    if (!found) throw new Error("the verifier key is not written <name>+<8 hex digits>+<base64>");
    const key = decoded(found[3]);
    if (key[0] !== 1 || key.length !== 33) throw new Error("the verifier key is not of Ed25519");
    const id = (await sha256(bytesOf(`${found[1]}\n`), key)).slice(0, 4);
    if (hex(id) !== found[2]) throw new Error("the id of the verifier key is of another one");
    return { name: found[1], id, raw: key.slice(1) };
  }

  async function* climbed(leaf, proof, size) {
    let [fn, sn, r] = [proof.index, size - 1n, leaf];
    for (const p of proof.path) {
      if (sn === 0n) throw new Error("the path is longer than the tree is high");
      const isLeft = (fn & 1n) === 1n || fn === sn;
      r = isLeft ? await sha256([1], p, r) : await sha256([1], r, p);
      while (isLeft && !(fn & 1n) && fn) [fn, sn] = [fn >> 1n, sn >> 1n];
      [fn, sn] = [fn >> 1n, sn >> 1n];
      yield { p, isLeft, r };
    }
    if (sn) throw new Error("the path ends below the root");
  }

  // true, false, or null where this browser cannot tell.
  async function isSigned(note, key) {
    const own = note.signatures
      .map(([, name, encoded]) => ({ name, raw: decoded(encoded) }))
      .filter((each) => each.name === key.name && isSame(each.raw.slice(0, 4), key.id));
    if (!own.length) return false;
    let verifier;
    try {
      verifier = await crypto.subtle.importKey("raw", key.raw, "Ed25519", false, ["verify"]);
    } catch {
      return null;
    }
    const text = bytesOf(note.text);
    const verified = own.map((each) =>
      crypto.subtle.verify("Ed25519", verifier, each.raw.slice(4), text));
    return (await Promise.all(verified)).every(Boolean);
  }

  async function* steps(given) {
    const raw = decoded(given.entry);
    const proof = readProof(given.proof);
    const note = readNote(proof.note);
    const key = await readKey(given.vkey);
    const leaf = await sha256([0], raw);
    yield [`The ${raw.length} bytes hash to the leaf`, hex(leaf), true];
    const isOwn = proof.index === BigInt(given.index) && proof.index < note.size;
    yield ["The proof is of this entry", `index ${proof.index} of ${note.size}`, isOwn];
    let root = leaf;
    let at = 0;
    for await (const { p, isLeft, r } of climbed(leaf, proof, note.size)) {
      const side = isLeft ? "left" : "right";
      yield [`Step ${++at}: with ${hex(p).slice(0, 16)}... on the ${side}`, hex(r), true];
      root = r;
    }
    yield ["That is the root of the checkpoint", hex(note.root), isSame(root, note.root)];
    yield ["The checkpoint is of the log of the key", note.origin, note.origin === key.name];
    const ok = await isSigned(note, key);
    const said = ok === null ? "This browser knows no Ed25519: the signature is not checked here"
      : "The checkpoint is signed with the key (Ed25519)";
    yield [said, `${key.name}+${hex(key.id)}`, ok];
  }

  const MARKS = new Map([
    [true, ["allow", "\u2713", "ok"]], [false, ["deny", "\u2715", "failed"]], [null, ["ask", "?", "open"]],
  ]);

  function line(what, value, ok) {
    const [kind, symbol, word] = MARKS.get(ok);
    const item = document.createElement("li");
    const mark = document.createElement("span");
    const code = document.createElement("code");
    mark.className = `is ${kind}`;
    mark.textContent = `${symbol}\u00a0${word}`;
    code.className = "v";
    code.textContent = value;
    item.append(mark, ` ${what}`, document.createElement("br"), code);
    return item;
  }

  async function check() {
    const list = place.querySelector("ol");
    const verdict = place.querySelector("[role=status]");
    const given = { ...place.dataset, vkey: place.querySelector("input").value };
    const found = [];
    let last = true;
    try {
      if (!globalThis.crypto?.subtle) throw new Error("this browser checks nothing on an address without TLS");
      for await (const [what, value, ok] of steps(given)) {
        found.push(line(what, value, ok));
        last = ok;
        if (ok === false) break;
      }
    } catch (error) {
      found.push(line(error.message, "", false));
      last = false;
    }
    list.replaceChildren(...found);
    verdict.className = `said ${last ? "good" : "bad"}`;
    verdict.textContent = {
      true: "This browser comes to the same: the entry is in the log that this key signs.",
      false: "This browser cannot confirm the proof.",
      null: "The entry is under the root of the checkpoint; who signed that, this browser cannot tell.",
    }[String(last)];
  }

  place.hidden = false;
  place.querySelector("button").addEventListener("click", check);
  check();
})();
