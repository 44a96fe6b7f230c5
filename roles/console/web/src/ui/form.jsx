// form.jsx - fields with their labels.
import { t } from "../lib/i18n.js";

let ids = 0;
const newId = () => `f${++ids}`;

export function Field({ label, help, children, id, inline }) {
	return (
		<div class={inline ? "field inline" : "field"}>
			<label for={id}>{label}</label>
			{children}
			{help && <small id={id + "-help"}>{help}</small>}
		</div>
	);
}

const known = new WeakMap();
function idFor(signal) {
	if (!known.has(signal)) known.set(signal, newId());
	return known.get(signal);
}

// Each takes a signal that holds the value.
export function TextField({ label, help, value, type = "text", ...rest }) {
	const id = idFor(value);
	return (
		<Field label={label} help={help} id={id}>
			<input
				id={id}
				type={type}
				value={value.value}
				aria-describedby={help ? id + "-help" : undefined}
				onInput={(e) => (value.value = e.currentTarget.value)}
				{...rest}
			/>
		</Field>
	);
}

export function Area({ label, help, value, rows = 6, ...rest }) {
	const id = idFor(value);
	return (
		<Field label={label} help={help} id={id}>
			<textarea
				id={id}
				rows={rows}
				spellcheck={false}
				value={value.value}
				onInput={(e) => (value.value = e.currentTarget.value)}
				{...rest}
			/>
		</Field>
	);
}

// options: [[value, text], ...]
export function Select({ label, help, value, options, onChange, ...rest }) {
	const id = idFor(value);
	return (
		<Field label={label} help={help} id={id}>
			<select
				id={id}
				value={value.value}
				onChange={(e) => {
					value.value = e.currentTarget.value;
					onChange?.(value.value);
				}}
				{...rest}
			>
				{options.map(([v, text]) => (
					<option value={v} selected={v === value.value}>
						{text}
					</option>
				))}
			</select>
		</Field>
	);
}

export function Check({ label, help, value, ...rest }) {
	const id = idFor(value);
	return (
		<div class="field check">
			<input
				id={id}
				type="checkbox"
				checked={value.value}
				onChange={(e) => (value.value = e.currentTarget.checked)}
				{...rest}
			/>
			<label for={id}>{label}</label>
			{help && <small>{help}</small>}
		</div>
	);
}

// A filter in a bar: its label is for screen readers only.
export function Filter({ label, value, onChange, options }) {
	return (
		<select aria-label={label} value={value} onChange={(e) => onChange(e.currentTarget.value)}>
			{options.map(([v, text]) => (
				<option value={v} selected={v === value}>
					{text}
				</option>
			))}
		</select>
	);
}

export function Search({ label, value, onInput }) {
	return (
		<input
			type="search"
			aria-label={label}
			placeholder={label}
			value={value}
			onInput={(e) => onInput(e.currentTarget.value)}
		/>
	);
}

export const submit = (run) => (e) => {
	e.preventDefault();
	run();
};
export const Buttons = ({ word, busy, onClose, danger, children }) => (
	<div class="buttons">
		{children}
		{onClose && (
			<button type="button" onClick={onClose}>
				{t("Cancel")}
			</button>
		)}
		<button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
			{word}
		</button>
	</div>
);
