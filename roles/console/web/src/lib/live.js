// live.js - one stream of server-sent events for the page that is open. It opens itself again with back-off,
// from the last event number seen, so that a restart of the server loses nothing or says how much.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get, url } from "./api.js";
import { endSession } from "./session.js";

export const liveState = signal("idle"); // idle | open | lost

const FIRST_WAIT_MS = 400;
const MAX_WAIT_MS = 8000;
const KINDS = ["hello", "event", "agent", "task", "dropped"];

class Stream {
	constructor(query, handlers) {
		this.query = query;
		this.handlers = handlers;
		this.wait = FIRST_WAIT_MS;
		this.open();
	}

	open() {
		this.source = new EventSource(url("/live", { ...this.query, after: this.last }));
		for (const kind of KINDS) this.source.addEventListener(kind, (e) => this.message(kind, e));
		this.source.addEventListener("end", (e) => this.ended(JSON.parse(e.data).why));
		this.source.onerror = () => this.lost();
	}

	message(kind, e) {
		const data = JSON.parse(e.data);
		if (kind === "hello") {
			liveState.value = "open";
			this.wait = FIRST_WAIT_MS;
			this.last ??= data.n;
			data.again = this.greeted && !data.resumed; // the page fetches its lists anew
			// Also the first time: what changed since the page's first fetch was told to nobody.
			if (data.again || !this.greeted) this.handlers().missed?.();
			this.greeted = true;
		}
		if (kind === "event") this.last = data.n;
		this.handlers()[kind]?.(data);
	}

	ended(why) {
		if (why === "session") {
			this.close();
			endSession();
		} else {
			this.lost();
		}
	}

	lost() {
		this.source.close();
		if (this.closed) return;
		liveState.value = "lost";
		clearTimeout(this.timer);
		this.timer = setTimeout(() => this.again(), this.wait * (0.75 + Math.random() / 2));
		this.wait = Math.min(this.wait * 2, MAX_WAIT_MS);
	}

	// A stream that was refused does not say why: /session does.
	async again() {
		try {
			await get("/session");
		} catch (problem) {
			if (problem.status !== 401) this.lost();
			return;
		}
		if (!this.closed) this.open();
	}

	close() {
		this.closed = true;
		clearTimeout(this.timer);
		this.source.close();
		liveState.value = "idle";
	}
}

// handlers: functions by message kind, and `missed`: something may have changed that no message told of. They
// may change with every render, the stream stays; it opens again when the query does, and pauses while `on` is
// false.
export function useLive(query, handlers, on = true) {
	const current = useRef(handlers);
	current.current = handlers;
	const key = JSON.stringify(query);
	useEffect(() => {
		if (!on) return undefined;
		const stream = new Stream(JSON.parse(key), () => current.current);
		return () => stream.close();
	}, [key, on]);
}
