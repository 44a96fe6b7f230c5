// keys.js - an operator's signing keys. A generated key is not extractable and lives in this browser's
// IndexedDB; an imported one stays in memory until the page is closed. The server never sees either.
import { signal } from "@preact/signals";
import { canonicalBytes } from "./canonical.js";
import { session } from "./session.js";

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

export const heldKeys = signal([]); // [{keyid, label, imported, privateKey}]

function store(mode, act) {
	return new Promise((done, failed) => {
		const opening = indexedDB.open("atalaia-keys", 1);
		opening.onupgradeneeded = () => opening.result.createObjectStore("keys", { keyPath: "keyid" });
		opening.onerror = () => failed(opening.error);
		opening.onsuccess = () => {
			const tx = opening.result.transaction("keys", mode);
			const request = act(tx.objectStore("keys"));
			tx.oncomplete = () => {
				opening.result.close();
				done(request.result);
			};
			tx.onerror = () => failed(tx.error);
		};
	});
}

export async function loadKeys() {
	const all = await store("readonly", (s) => s.getAll());
	const mine = all.filter((k) => k.user === session.value?.user);
	heldKeys.value = [...mine, ...heldKeys.value.filter((k) => k.imported)];
}

export const base64 = (data) => btoa(String.fromCharCode(...new Uint8Array(data)));
const unbase64 = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
export const decodeBytes = unbase64;

export async function keyIdOf(key) {
	const digest = await crypto.subtle.digest("SHA-256", canonicalBytes(key));
	return [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("");
}

// The server answers a key and its id: both are checked against the public key that this browser holds.
export async function checkRegistered(answer, spki) {
	const pem = answer.key.keyval.public.replace(/-----[A-Z ]+-----|\s/g, "");
	if (pem !== base64(spki) || answer.keyid !== (await keyIdOf(answer.key)))
		throw new Error("the server registered another key than this browser's");
	return answer.keyid;
}

// register(spki base64) tells the server; only then the key is kept.
export async function generateKey(label, register) {
	const pair = await crypto.subtle.generateKey(CURVE, false, ["sign", "verify"]);
	const spki = await crypto.subtle.exportKey("spki", pair.publicKey);
	const keyid = await checkRegistered(await register(base64(spki)), spki);
	await store("readwrite", (s) =>
		s.put({ keyid, label, user: session.value.user, privateKey: pair.privateKey }),
	);
	await loadKeys();
	return keyid;
}

export async function forgetKey(keyid) {
	await store("readwrite", (s) => s.delete(keyid));
	heldKeys.value = heldKeys.value.filter((k) => k.keyid !== keyid);
}

// "BEGIN EC PRIVATE KEY" (SEC 1) is what atalaia-repo and OpenSSL write; WebCrypto reads PKCS #8 only.
function der(tag, ...parts) {
	const body = parts.flatMap((p) => [...p]);
	const n = body.length;
	const length = n < 128 ? [n] : n < 256 ? [0x81, n] : [0x82, n >> 8, n & 255];
	return Uint8Array.from([tag, ...length, ...body]);
}

const EC_P256 = unbase64("MBMGByqGSM49AgEGCCqGSM49AwEH"); // AlgorithmIdentifier id-ecPublicKey, prime256v1

function pkcs8Of(pem) {
	const found = /-----BEGIN (EC PRIVATE KEY|PRIVATE KEY)-----([A-Za-z0-9+/=\s]+)-----END/.exec(pem);
	if (!found) throw new Error("this file holds no unencrypted P-256 private key in PEM");
	const raw = unbase64(found[2].replace(/\s/g, ""));
	return found[1] === "PRIVATE KEY" ? raw : der(0x30, [2, 1, 0], EC_P256, der(4, raw));
}

export async function importKey(pem, label) {
	const pkcs8 = pkcs8Of(pem);
	// Extractable for one moment, to know its public half; what stays is not.
	const jwk = await crypto.subtle.exportKey(
		"jwk",
		await crypto.subtle.importKey("pkcs8", pkcs8, CURVE, true, ["sign"]),
	);
	const open = { kty: "EC", crv: "P-256", x: jwk.x, y: jwk.y };
	const spki = await crypto.subtle.exportKey(
		"spki",
		await crypto.subtle.importKey("jwk", open, CURVE, true, ["verify"]),
	);
	const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, CURVE, false, ["sign"]);
	const lines = base64(spki)
		.match(/.{1,64}/g)
		.join("\n");
	const key = {
		keytype: "ecdsa",
		scheme: "ecdsa-sha2-nistp256",
		keyval: { public: `-----BEGIN PUBLIC KEY-----\n${lines}\n-----END PUBLIC KEY-----\n` },
	};
	const keyid = await keyIdOf(key);
	heldKeys.value = [
		...heldKeys.value.filter((k) => k.keyid !== keyid),
		{ keyid, label, imported: true, privateKey },
	];
	return keyid;
}

// What is to be signed, read from the bytes themselves. They must be the canonical form of what they decode
// to, or two readers could see two orders in them.
export function readOrder(bytes) {
	const signed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
	const again = canonicalBytes(signed);
	if (again.length !== bytes.length || again.some((b, i) => b !== bytes[i]))
		throw new Error("these bytes are not the canonical form of what they say: nothing was signed");
	return signed;
}

export async function sign(key, bytes) {
	return base64(await crypto.subtle.sign(SIGNING, key.privateKey, bytes));
}
