// fleet.js - all computers, as objects by id, kept current by live messages. One list for every page.
import { signal } from "@preact/signals";
import { get } from "./api.js";

export const fleet = signal(null); // {rows, byId, feeds, newest}

export async function loadFleet() {
	const answer = await get("/computers");
	const rows = answer.rows.map((cells) =>
		Object.fromEntries(answer.columns.map((name, i) => [name, cells[i]])),
	);
	fleet.value = {
		rows,
		byId: new Map(rows.map((r) => [r.agent, r])),
		feeds: answer.feeds,
		newest: answer.newest,
	};
}

// A thousand live messages a second are put in together: sorting the list for each would keep a core busy.
const GATHER_MS = 250;
let pending = new Map();
let timer = 0;
export function updateComputer(row) {
	pending.set(row.agent, row);
	timer ||= setTimeout(() => {
		timer = 0;
		const changes = pending;
		pending = new Map();
		if (!fleet.value) return;
		const rows = fleet.value.rows.map((r) => changes.get(r.agent) ?? r);
		for (const [id, change] of changes) if (!fleet.value.byId.has(id)) rows.push(change);
		fleet.value = { ...fleet.value, rows, byId: new Map(rows.map((r) => [r.agent, r])) };
	}, GATHER_MS);
}
