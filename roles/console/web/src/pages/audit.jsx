// audit.jsx - every change, newest first; the chain of hashes can be checked from here.
import { useSignal } from "@preact/signals";
import { get } from "../lib/api.js";
import { number } from "../lib/format.js";
import { t } from "../lib/i18n.js";
import { params, setParam } from "../lib/route.js";
import {
	Badge,
	Card,
	Loading,
	Page,
	ProblemNote,
	Rows,
	Text,
	Time,
	useAction,
	useLoad,
} from "../ui/bits.jsx";
import { Search } from "../ui/form.jsx";

const PAGE = 100;
const BEGUN = 102; // the row with the outcome is above it
const status = (n) =>
	n === BEGUN ? (
		<Badge tone="info" mark="◐">
			{t("begun")}
		</Badge>
	) : (
		<Badge tone={n >= 400 ? "bad" : "good"} mark={n >= 400 ? "▲" : "●"}>
			{n}
		</Badge>
	);

export function Audit() {
	const user = params.value.get("user") ?? "";
	const older = useSignal([]);
	const view = useLoad(() => get("/audit", { user, limit: PAGE }), [user]);
	const entries = [...(view.data.value?.entries ?? []), ...older.value];
	const more = useAction(
		() => get("/audit", { user, limit: PAGE, before: entries.at(-1)?.n }),
		(a) => (older.value = [...older.value, ...a.entries]),
	);
	const check = useSignal(null);
	const verify = useAction(
		() => get("/audit/verify"),
		(r) => (check.value = r),
	);
	return (
		<Page
			title={t("Audit")}
			actions={
				<button type="button" disabled={verify.busy.value} onClick={verify.run}>
					{t("Check the whole chain")}
				</button>
			}
		>
			{check.value && (
				<div class={check.value.good ? "note good" : "note bad"} role="status">
					{check.value.good
						? t("The chain is whole: {n} entries.", { n: number(check.value.entries) })
						: t("The chain is broken at entry {n}.", { n: check.value.broken_at })}
				</div>
			)}
			<div class="bar">
				<Search
					label={t("User")}
					value={user}
					onInput={(v) => {
						older.value = [];
						setParam({ user: v });
					}}
				/>
			</div>
			<Loading of={view} />
			<ProblemNote problem={more.problem.value ?? verify.problem.value} />
			{view.data.value && (
				<Card>
					<Rows
						label={t("Audit")}
						head={[
							"",
							t("When"),
							t("Who"),
							t("From"),
							t("What"),
							t("Of what"),
							t("Answer"),
							t("More"),
						]}
						rows={entries.map((e) => [
							e.n,
							<Time at={e.at} exact />,
							<Text v={e.user} max={40} />,
							<Text v={e.address} max={40} />,
							<code>
								<Text v={e.action} max={60} />
							</code>,
							<Text v={e.object} max={60} />,
							status(e.status),
							<Text v={e.detail} max={120} />,
						])}
					/>
					{entries.length >= PAGE && (
						<div class="buttons">
							<button type="button" disabled={more.busy.value} onClick={more.run}>
								{t("Older ones")}
							</button>
						</div>
					)}
				</Card>
			)}
		</Page>
	);
}
