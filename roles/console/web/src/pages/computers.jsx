// computers.jsx - the whole fleet in one list: filter, sort, group, select many, send them a task.
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { fleet, loadFleet, updateComputer } from "../lib/fleet.js";
import { compareText, visible } from "../lib/format.js";
import { t, tn, tv } from "../lib/i18n.js";
import { useLive } from "../lib/live.js";
import { go, params, setParam } from "../lib/route.js";
import { mayChange } from "../lib/session.js";
import { Loading, Page, STATES, STATE_ORDER, State, Text, Time, useLoad, useThrottle } from "../ui/bits.jsx";
import { Filter, Search } from "../ui/form.jsx";
import { Count, VTable } from "../ui/table.jsx";
import { TaskDialog } from "../ui/taskform.jsx";

const versionOf = (row) => (row.feeds ?? []).find((f) => f[0] !== "policies")?.[1] ?? 0;
const stateWord = (row) => tv(STATES[row.state]?.word ?? row.state);
const shortText = (v) => visible(String(v).slice(0, 60));

const ORDER = {
	host: (a, b) => compareText(a.host, b.host),
	group: (a, b) => compareText(a.group, b.group),
	state: (a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state),
	set: (a, b) => versionOf(a) - versionOf(b),
	seen: (a, b) => b.seen - a.seen,
	address: (a, b) => compareText(a.address, b.address),
};
const GROUPS = {
	group: (row) => shortText(row.group),
	state: stateWord,
	version: (row) => String(versionOf(row) || "–"),
	role: (row) => (row.role ? t("update agent") : t("workstation")),
};

function columns() {
	return [
		{
			id: "host",
			title: t("Computer"),
			width: "minmax(9rem, 1.5fr)",
			cell: (r) => (
				<a href={`/computers/${encodeURIComponent(r.agent)}`} tabIndex={-1}>
					<Text v={r.host} max={80} />
				</a>
			),
		},
		{ id: "state", title: t("State"), width: "9rem", cell: (r) => <State of={r.state} /> },
		{
			id: "group",
			title: t("Group"),
			width: "minmax(5rem, .8fr)",
			wide: true,
			cell: (r) => <Text v={r.group} max={60} />,
		},
		{
			id: "address",
			title: t("Address"),
			width: "minmax(7rem, .8fr)",
			wide: true,
			cell: (r) => <Text v={r.address} max={60} />,
		},
		{
			id: "set",
			title: t("Set"),
			width: "5rem",
			wide: true,
			cell: (r) => <span class="num">{versionOf(r) || "–"}</span>,
		},
		{
			id: "role",
			title: t("Role"),
			width: "7.5rem",
			wide: true,
			sort: false,
			cell: (r) => (r.role ? t("update agent") : ""),
		},
		{ id: "seen", title: t("Heard of"), width: "7.5rem", cell: (r) => <Time at={r.seen} /> },
	];
}

function chosen(rows, filter) {
	const words = filter.q.toLowerCase();
	return rows.filter(
		(r) =>
			(!filter.state || r.state === filter.state) &&
			(!filter.group || r.group === filter.group) &&
			(!filter.role || (filter.role === "update-agent") === (r.role === "update-agent")) &&
			(!words ||
				r.host.toLowerCase().includes(words) ||
				r.address.includes(words) ||
				r.agent.startsWith(words)),
	);
}

function Bar({ filter, groups, shown, total }) {
	return (
		<div class="bar">
			<Search label={t("Name, address or id")} value={filter.q} onInput={(q) => setParam({ q })} />
			<Filter
				label={t("State")}
				value={filter.state}
				onChange={(state) => setParam({ state })}
				options={[["", t("every state")], ...STATE_ORDER.map((s) => [s, tv(STATES[s].word)])]}
			/>
			<Filter
				label={t("Group")}
				value={filter.group}
				onChange={(group) => setParam({ group })}
				options={[["", t("every group")], ...groups.map((g) => [g, shortText(g)])]}
			/>
			<Filter
				label={t("Role")}
				value={filter.role}
				onChange={(role) => setParam({ role })}
				options={[
					["", t("every role")],
					["update-agent", t("update agent")],
					["none", t("workstation")],
				]}
			/>
			<Filter
				label={t("Group rows by")}
				value={filter.by}
				onChange={(by) => setParam({ by })}
				options={[
					["", t("not grouped")],
					["group", t("by group")],
					["state", t("by state")],
					["version", t("by set version")],
					["role", t("by role")],
				]}
			/>
			<Count shown={shown} total={total} />
		</div>
	);
}

export function Computers() {
	const view = useLoad(loadFleet);
	const selected = useSignal(new Set());
	const sort = useSignal({ by: "state", down: false });
	const sending = useSignal(false);
	const later = useThrottle(view.reload, 2000); // not while the first ten thousand come
	useLive(
		{ topics: "agents" },
		{ agent: updateComputer, dropped: view.reload, missed: later },
	);
	useEffect(
		() => () => {
			selected.value = new Set();
		},
		[],
	);

	const p = params.value;
	const filter = Object.fromEntries(
		["q", "state", "group", "role", "by"].map((name) => [name, p.get(name) ?? ""]),
	);
	const all = fleet.value?.rows ?? [];
	const rows = chosen(all, filter);
	const order = ORDER[sort.value.by];
	rows.sort((a, b) => (sort.value.down ? -order(a, b) : order(a, b)) || ORDER.host(a, b));
	const groups = [...new Set(all.map((r) => r.group))].sort(compareText);
	const picked = all.filter((r) => selected.value.has(r.agent));

	return (
		<Page
			wide
			title={t("Computers")}
			actions={
				picked.length > 0 && (
					<>
						<span class="count">{tn(picked.length, "one selected", "{n} selected")}</span>
						<button type="button" onClick={() => (selected.value = new Set())}>
							{t("Select none")}
						</button>
						{mayChange.value && (
							<button type="button" class="primary" onClick={() => (sending.value = true)}>
								{t("Task for the selection…")}
							</button>
						)}
					</>
				)
			}
		>
			{!fleet.value && <Loading of={{ ...view, data: fleet }} />}
			{fleet.value && (
				<div>
					<Bar filter={filter} groups={groups} shown={rows.length} total={all.length} />
					<VTable
						label={t("Computers")}
						columns={columns()}
						rows={rows}
						keyOf={(r) => r.agent}
						sort={sort}
						selected={selected}
						groupOf={GROUPS[filter.by]}
						onOpen={(r) => go(`/computers/${encodeURIComponent(r.agent)}`)}
						empty={
							all.length ? t("No computer is like this.") : t("No computer has enrolled yet.")
						}
					/>
				</div>
			)}
			{sending.value && <TaskDialog computers={picked} onClose={() => (sending.value = false)} />}
		</Page>
	);
}
