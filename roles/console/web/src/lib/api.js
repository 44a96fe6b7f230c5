// api.js - every request to /api/v1. A refusal is a Problem with the server's code and sentence; a 401 ends
// the session here, for whoever asked.
import { t } from "./i18n.js";
import { refusal } from "./said.js";
import { endSession, session } from "./session.js";

export class Problem extends Error {
	constructor(status, body, retryAfter) {
		super(refusal(body.code, body.detail || body.title || String(status)));
		this.status = status;
		this.code = body.code ?? "";
		this.body = body;
		this.retryAfter = retryAfter;
	}
}

function query(params) {
	const pairs = Object.entries(params ?? {}).filter(([, v]) => v !== undefined && v !== "" && v !== null);
	return pairs.length ? "?" + new URLSearchParams(pairs) : "";
}

export const url = (path, params) => "/api/v1" + path + query(params);

async function read(response) {
	const text = await response.text();
	try {
		return text ? JSON.parse(text) : null;
	} catch {
		return null;
	}
}

async function call(method, path, { params, body, signal } = {}) {
	const headers = {};
	if (body !== undefined) headers["Content-Type"] = "application/json";
	if (method !== "GET" && session.value) headers["X-Atalaia-CSRF"] = session.value.csrf;
	let response;
	try {
		response = await fetch(url(path, params), {
			method,
			headers,
			signal,
			body: body === undefined ? undefined : JSON.stringify(body),
		});
	} catch (e) {
		if (e.name === "AbortError") throw e;
		throw new Problem(0, { code: "network", detail: t("The console does not answer.") });
	}
	const answer = await read(response);
	if (response.ok) return { status: response.status, body: answer };
	const problem = new Problem(
		response.status,
		answer ?? {},
		Number(response.headers.get("Retry-After")) || 0,
	);
	if (problem.status === 401 && path !== "/login") endSession();
	throw problem;
}

export const get = async (path, params, signal) => (await call("GET", path, { params, signal })).body;
export const post = async (path, body = {}) => (await call("POST", path, { body })).body;
export const put = async (path, body) => (await call("PUT", path, { body })).body;
export const del = async (path) => (await call("DELETE", path)).body;

// Runs fn over items, at most eight at a time; gives what each came to.
export async function eachOf(items, fn) {
	const results = new Array(items.length);
	let next = 0;
	async function worker() {
		while (next < items.length) {
			const i = next++;
			try {
				results[i] = { value: await fn(items[i]) };
			} catch (problem) {
				results[i] = { problem };
			}
		}
	}
	await Promise.all(Array.from({ length: Math.min(8, items.length) }, worker));
	return results;
}
