// plot.jsx - uPlot in the colours of the page. What a plot shows is also said in words for those who cannot see it.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { locale } from "../lib/i18n.js";
import { theme } from "./theme.js";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const PLOT_COLORS = ["--plot-1", "--plot-2", "--plot-3", "--plot-4", "--plot-5", "--plot-6"];

const DAY = 86400; // seconds, as uPlot counts
const LEAST_DAYS = 14; // a single day is not a wide bar

// Bars on top of each other: uPlot draws from the whole down to the first, each over the next.
function stacked(series) {
	const sums = series[0].values.map(() => 0);
	return series.map((s) => s.values.map((v, i) => (sums[i] += v))).reverse();
}

function options(box, days, series, format) {
	const last = days.at(-1) / 1000;
	const span = [Math.min(days[0] / 1000, last - LEAST_DAYS * DAY) - DAY * 0.7, last + DAY * 0.7];
	const line = {
		stroke: color("--dim"),
		grid: { stroke: color("--line"), width: 1 },
		ticks: { show: false },
		font: "12px sans-serif",
	};
	const bars = uPlot.paths.bars({ size: [0.7, 28] });
	return {
		width: box.clientWidth || 300,
		height: 190,
		legend: { show: false },
		cursor: { show: false },
		scales: {
			x: { time: true, auto: false, range: () => span },
			y: { range: (u, min, max) => [0, max > 0 ? max * 1.1 : 1] },
		},
		axes: [
			{
				...line,
				values: (u, at) =>
					at.map((s) =>
						new Date(s * 1000).toLocaleDateString(locale(), { day: "numeric", month: "short" }),
					),
				space: 70,
			},
			{ ...line, size: 64, values: (u, at) => at.map(format) },
		],
		series: [
			{},
			...series
				.map((s) => ({
					fill: color(s.color),
					stroke: color(s.color),
					width: 0,
					paths: bars,
					points: { show: false },
				}))
				.reverse(),
		],
	};
}

// series: [{name, color: "--plot-1", values}], days: milliseconds, one for each value.
export function BarPlot({ label, days, series, format }) {
	const ref = useRef();
	const key = JSON.stringify([days, series.map((s) => [s.name, s.values])]);
	useEffect(() => {
		const box = ref.current;
		if (!series.length || !days.length) return undefined;
		const opts = options(box, days, series, format);
		const plot = new uPlot(opts, [days.map((d) => d / 1000), ...stacked(series)], box);
		const watch = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: 190 }));
		watch.observe(box);
		return () => {
			watch.disconnect();
			plot.destroy();
		};
	}, [key, theme.value]);
	return (
		<figure class="plot">
			<div ref={ref} role="img" aria-label={label} />
			<figcaption>
				{series.map((s) => (
					<span>
						<i class={"key " + s.color.slice(2)} aria-hidden="true" /> <bdi>{s.name}</bdi>
					</span>
				))}
			</figcaption>
		</figure>
	);
}
