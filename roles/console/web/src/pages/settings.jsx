// settings.jsx - the ports of this very installation with what a probe found, certificate, options, authority.
import { useSignal } from "@preact/signals";
import { get, post } from "../lib/api.js";
import { t, tv } from "../lib/i18n.js";
import { isAdministrator } from "../lib/session.js";
import {
	Badge,
	Card,
	Copy,
	Facts,
	Loading,
	Page,
	ProblemNote,
	Rows,
	Text,
	Time,
	useAction,
	useLoad,
} from "../ui/bits.jsx";

function checkOf(p) {
	if (!p.check)
		return (
			<Badge tone="dim" mark="◌">
				{t("not probed")}
			</Badge>
		);
	return (
		<>
			<Badge tone={p.check.good ? "good" : "bad"} mark={p.check.good ? "●" : "▲"}>
				{p.check.good ? t("reached") : t("not reached")}
			</Badge>{" "}
			<Text v={p.check.text} max={160} />{" "}
			<small>
				<Time at={p.check.at} />
			</small>
		</>
	);
}

function Ports() {
	const view = useLoad(() => get("/ports"));
	const shown = useSignal("nft");
	const probe = useAction(
		() => post("/ports/check"),
		(r) => (view.data.value = r),
	);
	const d = view.data.value;
	return (
		<Card
			title={t("Ports and firewall")}
			actions={
				isAdministrator.value && (
					<button type="button" disabled={probe.busy.value} onClick={() => probe.run()}>
						{t("Probe now")}
					</button>
				)
			}
		>
			<Loading of={view} />
			<ProblemNote problem={probe.problem.value} />
			{d && (
				<>
					<Rows
						label={t("Ports and firewall")}
						head={[t("Port"), t("What for"), t("From"), t("Program"), t("Listens"), t("Probe")]}
						rows={d.ports.map((p) => [
							<b class="num">
								{p.port}
								{p.to_port ? `–${p.to_port}` : ""}/{p.protocol}
							</b>,
							tv(p.purpose),
							tv(p.from),
							<code>{p.program}</code>,
							p.listening ? (
								<Text v={p.address || t("yes")} max={50} />
							) : (
								<span class="none">{p.check ? t("no") : "–"}</span>
							),
							checkOf(p),
						])}
					/>
					<h3>{t("Firewall rules")}</h3>
					<div class="bar" role="group" aria-label={t("Firewall rules")}>
						{Object.keys(d.rules ?? {}).map((k) => (
							<button
								type="button"
								class="small"
								aria-pressed={k === shown.value}
								onClick={() => (shown.value = k)}
							>
								{k}
							</button>
						))}
						{d.rules?.[shown.value] && <Copy text={d.rules[shown.value]} />}
					</div>
					<pre tabIndex={0} aria-label={t("Firewall rules")}>
						{d.rules?.[shown.value]}
					</pre>
				</>
			)}
		</Card>
	);
}

function Authority() {
	const view = useLoad(async () => {
		const [now, staged] = await Promise.all([
			get("/authority"),
			get("/authority/staged").catch(() => null),
		]);
		return { now, staged };
	});
	const d = view.data.value;
	const doc = d && (d.now.authority ?? d.now.signed ?? d.now);
	return (
		<Card title={t("Authority")}>
			<Loading of={view} />
			{d && (
				<>
					{doc.tasks && (
						<Rows
							label={t("Authority")}
							head={[t("Task"), t("Signatures"), t("Keys")]}
							rows={Object.entries(doc.tasks).map(([type, x]) => [
								type,
								x.threshold,
								x.keyids?.length,
							])}
						/>
					)}
					{d.staged && (
						<div class="note warn">
							{t("A new authority is staged and waits for its signatures.")}
						</div>
					)}
					<details>
						<summary>{t("The whole document")}</summary>
						<pre tabIndex={0} aria-label={t("The whole document")}>
							<Text v={JSON.stringify(d.now, null, 2)} max={40000} />
						</pre>
					</details>
				</>
			)}
		</Card>
	);
}

export function Settings() {
	const view = useLoad(() => get("/settings"));
	const d = view.data.value;
	return (
		<Page title={t("Settings")}>
			<Ports />
			<Loading of={view} />
			{d && (
				<div class="cards">
					<Card title={t("This console")}>
						<Facts
							of={[
								[t("Organisation"), <Text v={d.org} />],
								[t("Host"), <Text v={d.host} />],
								[t("Console"), <Text v={d.console} />],
								[t("Version"), d.version],
								[
									t("Certificate"),
									d.certificate?.own
										? t("made by the console's own CA")
										: t("given by the administrator"),
								],
								[
									t("Certificate, SHA-256"),
									<code>
										<Text v={d.certificate?.sha256} max={100} />
									</code>,
								],
								[t("Certificate ends"), <Time at={d.certificate?.ends} exact />],
								[
									t("Organisation CA, SHA-256"),
									<code>
										<Text v={d.ca_sha256} max={100} />
									</code>,
								],
							]}
						/>
					</Card>
					{isAdministrator.value && <Authority />}
				</div>
			)}
			{d && (
				<Card title={t("Options of the console")}>
					<Rows
						label={t("Options of the console")}
						head={[t("Option"), t("Value"), t("Built in"), t("What it does")]}
						rows={d.options.map((o) => [
							<code>{o.name}</code>,
							o.value === o.default || o.value === undefined ? (
								<Text v={o.value ?? o.default} max={80} />
							) : (
								<strong>
									<Text v={o.value} max={80} />
								</strong>
							),
							<Text v={o.default} max={60} />,
							tv(o.help),
						])}
					/>
				</Card>
			)}
		</Page>
	);
}
