// overview.jsx - what needs attention first, then how the fleet is.
import { get } from "../lib/api.js";
import { bytes, number, percent } from "../lib/format.js";
import { m, t, tn, tv } from "../lib/i18n.js";
import { useLive } from "../lib/live.js";
import { Badge, Card, Empty, Loading, Page, Rows, Text, Time, useLoad, useThrottle } from "../ui/bits.jsx";
import { BarPlot, PLOT_COLORS } from "../ui/plot.jsx";

const TILES = [
	["infected", m("infected"), "bad"],
	["engine_down", m("engine down"), "bad"],
	["outdated", m("out of date"), "warn"],
	["unreachable", m("unreachable"), "warn"],
	["protected", m("protected"), "good"],
];

// What each kind of trouble is called, how bad it is and where to go for it.
const KINDS = {
	detection: { title: m("Malware found"), tone: "bad", to: "/computers?state=infected" },
	rejected: { title: m("Update refused"), tone: "bad", to: "/events?type=org.atalaia.update.rejected" },
	"engine-down": { title: m("Engine down"), tone: "bad", to: "/computers?state=engine_down" },
	stale: { title: m("Updates have stopped"), tone: "bad", to: "/feeds" },
	outdated: { title: m("Out of date"), tone: "warn", to: "/computers?state=outdated" },
	unreachable: { title: m("Not heard of"), tone: "warn", to: "/computers?state=unreachable" },
	clone: { title: m("Cloned disk"), tone: "warn", to: "/computers" },
	"waiting-signature": { title: m("Waits for a signature"), tone: "info", to: "/tasks" },
	"child-fenced": { title: m("A part was shut off"), tone: "bad", to: "/events" },
};

function Attention({ list }) {
	if (!list.length)
		return (
			<p class="calm">
				<span aria-hidden="true">●</span>
				{t("Nothing needs your attention.")}
			</p>
		);
	return (
		<ul class="attention">
			{list.map((a) => {
				const kind = KINDS[a.kind] ?? { title: a.kind, tone: "warn", to: "/events" };
				const ids = a.agents ?? [];
				const more = a.count - ids.length;
				return (
					<li class={kind.tone}>
						<Badge tone={kind.tone} mark={kind.tone === "bad" ? "▲" : "◆"}>
							{number(a.count)}
						</Badge>
						<div class="what">
							<strong>{tv(kind.title)}</strong> <Text v={tv(a.text)} max={240} />
							<div class="hosts">
								{ids.map((id, i) => (
									<a href={`/computers/${encodeURIComponent(id)}`}>
										<Text v={a.hosts?.[i] || id} max={40} />
									</a>
								))}
								{more > 0 && ids.length > 0 && (
									<span>{t("and {n} more", { n: number(more) })}</span>
								)}
							</div>
						</div>
						{a.since && (
							<span>
								<Time at={a.since} />
							</span>
						)}
						<a
							class="button small"
							href={kind.to}
							aria-label={t("Show: {what}", { what: tv(kind.title) })}
						>
							{t("Show")}
						</a>
					</li>
				);
			})}
		</ul>
	);
}

function Tiles({ of }) {
	const parts = [
		["good", of.protected],
		["warn", of.outdated],
		["dim", of.unreachable],
		["bad", (of.infected ?? 0) + (of.engine_down ?? 0)],
	];
	const counted = parts.reduce((sum, [, n]) => sum + (n ?? 0), 0);
	return (
		<>
			<div class="tiles">
				{TILES.map(([state, title, tone]) => (
					<a class={`tile ${of[state] ? tone : "zero"}`} href={`/computers?state=${state}`}>
						<b>{number(of[state])}</b>
						{tv(title)}
					</a>
				))}
			</div>
			{counted > 0 && (
				<div
					class="share"
					role="img"
					aria-label={t("{n} of the computers are protected", {
						n: percent(of.protected, counted),
					})}
				>
					{parts.map(([tone, n]) => n > 0 && <i class={tone} style={{ flexGrow: n }} />)}
				</div>
			)}
		</>
	);
}

// One series for each of the newest versions, the older ones together.
export function spreadSeries(spread) {
	const days = [...new Set(spread.map((p) => p.at))].sort((a, b) => a - b);
	const versions = [...new Set(spread.map((p) => p.version))].sort((a, b) => b - a);
	const shown = versions.slice(0, PLOT_COLORS.length - 1);
	const sum = (day, pick) =>
		spread.reduce((n, p) => n + (p.at === day && pick(p.version) ? p.computers : 0), 0);
	const series = shown.map((v, i) => ({
		name: String(v),
		color: PLOT_COLORS[i],
		values: days.map((d) => sum(d, (x) => x === v)),
	}));
	if (versions.length > shown.length)
		series.push({
			name: t("older"),
			color: PLOT_COLORS.at(-1),
			values: days.map((d) => sum(d, (x) => !shown.includes(x))),
		});
	return { days, series };
}

function Spread({ feeds, spread }) {
	return (
		<Card title={t("Set versions over time")}>
			{feeds.map((f) => {
				const { days, series } = spreadSeries(spread.filter((p) => p.feed === f.feed));
				return (
					<>
						<h3>
							<bdi>{f.feed}</bdi> · {t("newest {version}", { version: f.newest ?? "–" })}
						</h3>
						{days.length > 0 && (
							<BarPlot
								label={t("Computers that took each version of {feed}, by day", {
									feed: f.feed,
								})}
								days={days}
								series={series}
								format={number}
							/>
						)}
						<Rows
							label={f.feed}
							head={[t("Version"), t("Computers"), t("Since")]}
							rows={(f.versions ?? [])
								.slice(0, 5)
								.map((v) => [v.version, number(v.computers), <Time at={v.since} />])}
						/>
					</>
				);
			})}
			{!feeds.length && <Empty>{t("No computer has reported a set yet.")}</Empty>}
		</Card>
	);
}

function Saved({ of, days }) {
	return (
		<Card title={t("Bytes in the last 30 days")}>
			<div class="tiles">
				<div class="tile">
					<b>{bytes(of.from_mirrors)}</b>
					{t("given by update agents instead of the server")}
				</div>
				<div class="tile">
					<b>{bytes(of.by_deltas)}</b>
					{t("saved by deltas")}
				</div>
				<div class="tile">
					<b>{bytes(of.wire)}</b>
					{t("fetched in all")}
				</div>
			</div>
			{days.some((d) => d.wire > 0) && (
				<BarPlot
					label={t("Bytes fetched by day")}
					days={days.map((d) => d.at)}
					format={bytes}
					series={[
						{
							name: t("from update agents"),
							color: "--plot-1",
							values: days.map((d) => d.from_mirrors),
						},
						{
							name: t("from the server"),
							color: "--plot-3",
							values: days.map((d) => Math.max(0, d.wire - d.from_mirrors)),
						},
					]}
				/>
			)}
		</Card>
	);
}

export function Overview() {
	const view = useLoad(() => get("/overview"));
	const soon = useThrottle(view.reload, 1000);
	useLive(
		{ topics: "agents,tasks,events", class: "detection" },
		{ missed: soon, agent: soon, task: soon, event: soon, dropped: soon },
	);
	const d = view.data.value;
	return (
		<Page
			title={t("Overview")}
			actions={d && <span class="count">{tn(d.computers.total, "one computer", "{n} computers")}</span>}
		>
			<Loading of={view} />
			{d && (
				<>
					<Card title={t("Needs attention")}>
						<Attention list={d.attention ?? []} />
					</Card>
					<Tiles of={d.computers} />
					{d.computers.total === 0 && (
						<Card title={t("No computer yet")}>
							<p>
								{t("Make a token and run one command on each computer.")}{" "}
								<a href="/enrolment">{t("Enrolment")}</a>
							</p>
						</Card>
					)}
					<div class="cards">
						<Spread feeds={d.feeds ?? []} spread={d.spread ?? []} />
						<Saved of={d.bytes ?? {}} days={d.bytes_days ?? []} />
					</div>
				</>
			)}
		</Page>
	);
}
