// table.jsx - a table of any length: only the rows in sight exist. Sorting and selection by mouse and keyboard:
// arrows, Page up and down, Home, End move; Space selects; Enter opens.
import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t, tn } from "../lib/i18n.js";

const ROW = 40; // pixels, also in the stylesheet
const BEYOND = 8; // rows kept above and below what is in sight

const narrowQuery = matchMedia("(max-width: 760px)");
export const narrow = signal(narrowQuery.matches);
narrowQuery.addEventListener("change", (e) => (narrow.value = e.matches));

// Rows with a heading before each group: [{heading, count}] and [{row}].
function withHeadings(rows, groupOf) {
	if (!groupOf) return rows.map((row) => ({ row }));
	const groups = new Map();
	for (const row of rows) {
		const name = groupOf(row);
		if (!groups.has(name)) groups.set(name, []);
		groups.get(name).push(row);
	}
	return [...groups]
		.sort((a, b) => b[1].length - a[1].length)
		.flatMap(([name, members]) => [
			{ heading: name, count: members.length },
			...members.map((row) => ({ row })),
		]);
}

function Head({ columns, sort, template, selectable, all, onAll, onSort }) {
	return (
		<div class="vt-row vt-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
			{selectable && (
				<span role="columnheader">
					<input
						type="checkbox"
						aria-label={t("Select all")}
						checked={all}
						tabIndex={-1}
						onChange={onAll}
					/>
				</span>
			)}
			{columns.map((c) => (
				<span
					role="columnheader"
					aria-sort={sort?.by === c.id ? (sort.down ? "descending" : "ascending") : undefined}
				>
					{c.sort === false ? (
						c.title
					) : (
						<button type="button" class="vt-sort" onClick={() => onSort(c.id)}>
							{c.title}
							<span aria-hidden="true">
								{sort?.by === c.id ? (sort.down ? " ↓" : " ↑") : ""}
							</span>
						</button>
					)}
				</span>
			))}
		</div>
	);
}

// columns: [{id, title, width, cell(row), wide}] (`wide`: not on a phone); keyOf(row);
// sort: signal {by, down}; selected: signal of a Set of keys, or none.
export function VTable({ label, columns, rows, keyOf, sort, selected, onOpen, groupOf, follow, empty }) {
	const box = useRef();
	const top = useSignal(0);
	const height = useSignal(600);
	const active = useSignal(0);
	const shownColumns = columns.filter((c) => !(narrow.value && c.wide));
	const template =
		(selected ? "34px " : "") + shownColumns.map((c) => c.width ?? "minmax(0, 1fr)").join(" ");
	const lines = withHeadings(rows, groupOf);
	const first = Math.max(0, Math.floor(top.value / ROW) - BEYOND);
	const last = Math.min(lines.length, Math.ceil((top.value + height.value) / ROW) + BEYOND);
	const at = Math.min(active.value, Math.max(0, lines.length - 1));

	useEffect(() => {
		const watch = new ResizeObserver(() => (height.value = box.current?.clientHeight ?? 600));
		watch.observe(box.current);
		return () => watch.disconnect();
	}, []);
	useEffect(() => {
		if (follow) box.current.scrollTop = box.current.scrollHeight;
	}, [follow, rows]);

	const toggle = (key) => {
		const next = new Set(selected.value);
		if (!next.delete(key)) next.add(key);
		selected.value = next;
	};
	const reveal = (i) => {
		active.value = i;
		const y = i * ROW;
		const room = box.current.clientHeight - ROW; // the head covers one row
		if (y < box.current.scrollTop) box.current.scrollTop = y;
		else if (y + ROW > box.current.scrollTop + room) box.current.scrollTop = y + ROW - room;
	};
	const onKey = (e) => {
		const page = Math.max(1, Math.floor(height.value / ROW) - 2);
		const moves = {
			ArrowDown: 1,
			ArrowUp: -1,
			PageDown: page,
			PageUp: -page,
			Home: -lines.length,
			End: lines.length,
		};
		const row = lines[at]?.row;
		if (e.target !== box.current) return;
		if (e.key in moves) reveal(Math.min(lines.length - 1, Math.max(0, at + moves[e.key])));
		else if (e.key === " " && selected && row) toggle(keyOf(row));
		else if (e.key === "Enter" && row) onOpen?.(row);
		else return;
		e.preventDefault();
	};
	const all = selected && rows.length > 0 && rows.every((r) => selected.value.has(keyOf(r)));

	return (
		<div
			class="vt"
			ref={box}
			role="grid"
			aria-label={label}
			aria-rowcount={rows.length + 1}
			tabIndex={0}
			aria-multiselectable={selected ? true : undefined}
			aria-activedescendant={lines.length ? `vt-${at}` : undefined}
			onScroll={(e) => (top.value = e.currentTarget.scrollTop)}
			onKeyDown={onKey}
		>
			<Head
				columns={shownColumns}
				sort={sort?.value}
				template={template}
				selectable={!!selected}
				all={all}
				onAll={() => (selected.value = all ? new Set() : new Set(rows.map(keyOf)))}
				onSort={(id) =>
					(sort.value = { by: id, down: sort.value?.by === id ? !sort.value.down : false })
				}
			/>
			{!lines.length && (
				<div role="row">
					<p class="empty" role="gridcell">
						{empty ?? t("Nothing here.")}
					</p>
				</div>
			)}
			<div class="vt-space" role="rowgroup" style={{ height: lines.length * ROW + "px" }}>
				{lines.slice(first, last).map((line, k) => {
					const i = first + k;
					const style = { top: i * ROW + "px", gridTemplateColumns: template };
					if (!line.row)
						return (
							<div
								key={"h" + i}
								id={`vt-${i}`}
								class={i === at ? "vt-row vt-group at" : "vt-row vt-group"}
								role="row"
								style={style}
							>
								<span role="gridcell">
									<bdi>{line.heading}</bdi> <b>{line.count}</b>
								</span>
							</div>
						);
					const key = keyOf(line.row);
					const on = selected?.value.has(key);
					return (
						<div
							key={key}
							id={`vt-${i}`}
							role="row"
							aria-rowindex={i + 2}
							aria-selected={selected ? !!on : undefined}
							class={
								"vt-row" +
								(i === at ? " at" : "") +
								(on ? " on" : "") +
								(onOpen ? " opens" : "")
							}
							style={style}
							onClick={(e) => {
								active.value = i;
								if (!e.target.closest("a,button,input")) onOpen?.(line.row);
							}}
						>
							{selected && (
								<span role="gridcell">
									<input
										type="checkbox"
										tabIndex={-1}
										checked={on}
										aria-label={t("Select {name}", { name: String(key).slice(0, 60) })}
										onChange={() => toggle(key)}
									/>
								</span>
							)}
							{shownColumns.map((c) => (
								<span role="gridcell">{c.cell(line.row)}</span>
							))}
						</div>
					);
				})}
			</div>
		</div>
	);
}

export const Count = ({ shown, total }) => (
	<p class="count" role="status">
		{shown === total
			? tn(total, "one row", "{n} rows")
			: t("{shown} of {total}", { shown: shown.toLocaleString(), total: total.toLocaleString() })}
	</p>
);
