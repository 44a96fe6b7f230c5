// qr.jsx - a QR code as SVG: byte mode, error correction L, versions 1 to 10 (ISO/IEC 18004). Enough for an otpauth address.
// Tables for level L by version: codewords in all, correction codewords a block, blocks.
const SIZES = [
	null,
	[26, 7, 1],
	[44, 10, 1],
	[70, 15, 1],
	[100, 20, 1],
	[134, 26, 1],
	[172, 18, 2],
	[196, 20, 2],
	[242, 24, 2],
	[292, 30, 2],
	[346, 18, 4],
];
const ALIGN = [
	null,
	[],
	[6, 18],
	[6, 22],
	[6, 26],
	[6, 30],
	[6, 34],
	[6, 22, 38],
	[6, 24, 42],
	[6, 26, 46],
	[6, 28, 50],
];

function multiply(a, b) {
	let r = 0;
	for (let i = 7; i >= 0; i--) r = (r << 1) ^ ((r >> 7) * 0x11d) ^ (((b >> i) & 1) * a);
	return r & 255;
}

// Reed-Solomon: the remainder of data by the generator of degree n.
function correction(data, n) {
	let generator = [1];
	for (let i = 0, root = 1; i < n; i++, root = multiply(root, 2)) {
		const next = [...generator, 0];
		generator.forEach((g, k) => (next[k + 1] ^= multiply(g, root)));
		generator = next;
	}
	const rest = new Array(n).fill(0);
	for (const byte of data) {
		const factor = byte ^ rest.shift();
		rest.push(0);
		for (let i = 0; i < n; i++) rest[i] ^= multiply(generator[i + 1], factor);
	}
	return rest;
}

function codewords(bytes, version) {
	const [all, ecc, blocks] = SIZES[version];
	const room = all - ecc * blocks;
	const bits = [];
	const put = (value, n) => {
		for (let i = n - 1; i >= 0; i--) bits.push((value >> i) & 1);
	};
	put(4, 4);
	put(bytes.length, version < 10 ? 8 : 16);
	bytes.forEach((b) => put(b, 8));
	put(0, Math.min(4, room * 8 - bits.length));
	put(0, (8 - (bits.length % 8)) % 8);
	for (let pad = 0xec; bits.length < room * 8; pad ^= 0xfd) put(pad, 8);
	const data = Array.from({ length: room }, (_, i) =>
		bits.slice(i * 8, i * 8 + 8).reduce((v, b) => v * 2 + b, 0),
	);
	const short = Math.floor(room / blocks);
	const parts = [];
	for (let i = 0, at = 0; i < blocks; i++) {
		const n = short + (i >= blocks - (room % blocks) ? 1 : 0);
		parts.push(data.slice(at, at + n));
		at += n;
	}
	const sums = parts.map((p) => correction(p, ecc));
	const woven = (lists) =>
		Array.from({ length: Math.max(...lists.map((l) => l.length)) }, (_, i) =>
			lists.filter((l) => i < l.length).map((l) => l[i]),
		).flat();
	return [...woven(parts), ...woven(sums)];
}

function frame(version) {
	const n = version * 4 + 17;
	const dark = Array.from({ length: n }, () => new Array(n).fill(false));
	const fixed = Array.from({ length: n }, () => new Array(n).fill(false));
	const set = (x, y, on) => {
		if (x >= 0 && y >= 0 && x < n && y < n) {
			dark[y][x] = on;
			fixed[y][x] = true;
		}
	};
	const ring = (cx, cy, r, on) => {
		for (let dy = -r; dy <= r; dy++)
			for (let dx = -r; dx <= r; dx++) set(cx + dx, cy + dy, on(Math.max(Math.abs(dx), Math.abs(dy))));
	};
	for (let i = 0; i < n; i++) {
		set(6, i, i % 2 === 0);
		set(i, 6, i % 2 === 0);
	}
	for (const [x, y] of [
		[3, 3],
		[n - 4, 3],
		[3, n - 4],
	])
		ring(x, y, 4, (d) => d !== 2 && d !== 4);
	const at = ALIGN[version];
	for (const x of at)
		for (const y of at)
			if (!(x === 6 && y === 6) && !(x === 6 && y === at.at(-1)) && !(x === at.at(-1) && y === 6))
				ring(x, y, 2, (d) => d !== 1);
	return { n, dark, fixed, set };
}

function formats({ n, set }, version) {
	const put = (bits) => {
		const bit = (i) => ((bits >> i) & 1) === 1;
		for (let i = 0; i < 6; i++) set(8, i, bit(i));
		set(8, 7, bit(6));
		set(8, 8, bit(7));
		set(7, 8, bit(8));
		for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
		for (let i = 0; i < 8; i++) set(n - 1 - i, 8, bit(i));
		for (let i = 8; i < 15; i++) set(8, n - 15 + i, bit(i));
		set(8, n - 8, true);
	};
	const bch = (value, poly, degree, bits) => {
		let rest = value;
		for (let i = 0; i < degree; i++) rest = (rest << 1) ^ ((rest >> (degree - 1)) * poly);
		return ((value << degree) | rest) & ((1 << bits) - 1);
	};
	put(bch(1 << 3, 0x537, 10, 15) ^ 0x5412); // level L, mask 0
	if (version >= 7) {
		const bits = bch(version, 0x1f25, 12, 18);
		for (let i = 0; i < 18; i++) {
			const [a, b] = [n - 11 + (i % 3), Math.floor(i / 3)];
			set(a, b, ((bits >> i) & 1) === 1);
			set(b, a, ((bits >> i) & 1) === 1);
		}
	}
}

// The matrix of a text: rows of true (dark) and false. Throws when it is too long.
export function qrMatrix(text) {
	const bytes = [...new TextEncoder().encode(text)];
	const version = SIZES.findIndex((s, v) => s && bytes.length + (v < 10 ? 2 : 3) <= s[0] - s[1] * s[2]);
	if (version < 0) throw new Error("too long for a QR code of version 10");
	const f = frame(version);
	formats(f, version);
	const words = codewords(bytes, version);
	let i = 0;
	for (let right = f.n - 1, up = true; right > 0; right -= 2, up = !up) {
		if (right === 6) right = 5;
		for (let k = 0; k < f.n; k++)
			for (const x of [right, right - 1]) {
				const y = up ? f.n - 1 - k : k;
				if (f.fixed[y][x]) continue;
				const on = i < words.length * 8 && ((words[i >> 3] >> (7 - (i & 7))) & 1) === 1;
				f.dark[y][x] = on !== ((x + y) % 2 === 0);
				i++;
			}
	}
	return f.dark;
}

export function QrCode({ text, label }) {
	const rows = qrMatrix(text);
	const n = rows.length + 8;
	const path = rows
		.map((row, y) => row.map((on, x) => (on ? `M${x + 4} ${y + 4}h1v1h-1z` : "")).join(""))
		.join("");
	return (
		<svg
			class="qr"
			viewBox={`0 0 ${n} ${n}`}
			width={n * 4}
			height={n * 4}
			role="img"
			aria-label={label}
			shape-rendering="crispEdges"
		>
			<rect class="paper" width={n} height={n} />
			<path d={path} />
		</svg>
	);
}
