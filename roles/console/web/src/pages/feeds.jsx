// feeds.jsx - each feed: how fresh, how large in full and as a delta, and who has what.
import { get } from "../lib/api.js";
import { bytes, milliseconds, now, number } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { Badge, Bytes, Card, Facts, Loading, Page, Rows, Text, Time, useLoad } from "../ui/bits.jsx";

const SOON_MS = 24 * 3600 * 1000;

function Freshness({ feed }) {
	const left = milliseconds(feed.expires) - now.value;
	if (!feed.expires)
		return (
			<Badge tone="dim" mark="◌">
				{t("not known here")}
			</Badge>
		);
	if (left < 0)
		return (
			<Badge tone="bad" mark="▲">
				{t("expired: updates have stopped")}
			</Badge>
		);
	return left < SOON_MS ? (
		<Badge tone="warn" mark="◆">
			{t("must be signed again within a day")}
		</Badge>
	) : (
		<Badge tone="good" mark="●">
			{t("fresh")}
		</Badge>
	);
}

function Feed({ f }) {
	const holders = f.holders ?? [];
	const all = holders.reduce((n, h) => n + h.computers, 0);
	return (
		<Card title={<Text v={f.feed} max={60} />} actions={<Freshness feed={f} />}>
			<Facts
				of={[
					[t("Version"), f.version ?? "–"],
					[t("Published"), <Time at={f.published} />],
					[t("Signed until"), <Time at={f.expires} exact />],
					[t("Full size"), <Bytes n={f.bytes_set} />],
					[t("Delta to the newest"), <Bytes n={f.bytes_delta} />],
					[
						t("A delta is"),
						f.bytes_set && f.bytes_delta
							? t("{part} of {whole}", {
									part: bytes(f.bytes_delta),
									whole: bytes(f.bytes_set),
								})
							: "–",
					],
					[t("Files"), f.files],
				]}
			/>
			<h3>{t("Who has what")}</h3>
			<Rows
				label={t("Who has what")}
				head={[t("Version"), t("Computers"), ""]}
				empty={t("No computer has reported a set yet.")}
				rows={holders.map((h) => [
					h.version,
					number(h.computers),
					<progress
						max={all}
						value={h.computers}
						aria-label={t("Share of version {version}", { version: h.version })}
					/>,
				])}
			/>
		</Card>
	);
}

export function Feeds() {
	const view = useLoad(() => get("/feeds"));
	return (
		<Page
			title={t("Feeds")}
			actions={
				<button type="button" onClick={view.reload}>
					{t("Load again")}
				</button>
			}
		>
			<Loading of={view} />
			<div class="cards">
				{view.data.value?.feeds.map((f) => (
					<Feed key={f.feed} f={f} />
				))}
			</div>
		</Page>
	);
}
