// event.jsx - one event in a line, opened to its details. Everything in it may come from a hostile program.
import { useSignal } from "@preact/signals";
import { t } from "../lib/i18n.js";
import { Badge, Text, Time } from "./bits.jsx";

const DETAIL_MAX = 20_000;
const shortType = (type) => String(type).replace(/^org\.atalaia\./, "");

const BAD =
	/^(detection|update\.(rejected|reverted)|engine\.down|events\.dropped|policy\.refused|child\.fenced)/;
const WARN = /^(update\.(stale|waiting)|clock|confinement)/;
export const toneOf = (type) => (BAD.test(type) ? "bad" : WARN.test(type) ? "warn" : "dim");

const isText = (v) => (typeof v === "string" || typeof v === "number" ? String(v) : undefined);

// What a reader wants of an event in one line.
export function summaryOf(event) {
	const d = event.data && typeof event.data === "object" ? event.data : {};
	if (shortType(event.type) === "detection") {
		const name = d.finding_info?.title ?? d.malware?.[0]?.name ?? d.signature;
		const path =
			d.malware?.[0]?.files?.[0]?.path ?? d.file?.path ?? d.evidences?.[0]?.file?.path ?? d.path;
		const parts = [isText(name), isText(path)].filter(Boolean);
		if (parts.length) return parts.join(" · ");
	}
	return Object.entries(d)
		.filter(([, v]) => ["string", "number", "boolean"].includes(typeof v))
		.slice(0, 6)
		.map(([k, v]) => `${k}=${String(v).slice(0, 80)}`)
		.join(" ");
}

export function EventType({ event }) {
	const short = shortType(event.type);
	const tone = toneOf(short);
	return (
		<Badge tone={tone} mark={tone === "bad" ? "▲" : tone === "warn" ? "◆" : "·"}>
			<Text v={short} max={40} />
		</Badge>
	);
}

export function EventDetails({ item }) {
	return (
		<>
			<p>
				<Time at={item.event.time} exact /> · {t("received")} <Time at={item.received} exact />
				{item.agent && (
					<>
						{" "}
						·{" "}
						<a href={`/computers/${encodeURIComponent(item.agent)}`}>
							<Text v={item.host || item.agent} max={60} />
						</a>
					</>
				)}
			</p>
			<pre tabIndex={0} aria-label={t("The whole event")}>
				<Text v={JSON.stringify(item.event, null, 2)} max={DETAIL_MAX} />
			</pre>
		</>
	);
}

export function EventLine({ item }) {
	const open = useSignal(false);
	return (
		<li>
			<button
				type="button"
				class="quiet event-line"
				aria-expanded={open.value}
				onClick={() => (open.value = !open.value)}
			>
				<Time at={item.received} /> <EventType event={item.event} />{" "}
				<Text v={summaryOf(item.event)} max={200} />
			</button>
			{open.value && <EventDetails item={item} />}
		</li>
	);
}
