// The part of the page that moves: filter, sort, the sockets and all frames of a place on
// demand, the icicle and the chart.  All words come from #data and are set as text, never as markup.
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";
const ROWS_AT_ONCE = 50;

function element(name, attributes, ...children) {
	const made = document.createElement(name);
	for (const key in attributes)
		made.setAttribute(key, attributes[key]);
	made.append(...children);
	return made;
}

function drawn(name, attributes, words) {
	const made = document.createElementNS(SVG, name);
	for (const key in attributes)
		made.setAttribute(key, attributes[key]);
	if (words !== undefined)
		made.textContent = words;
	return made;
}

// As in the text report: "950ms", "12.3s", "1m04s".
function duration(ms) {
	const two = (n) => String(n).padStart(2, "0");
	for (const [unit, part, scale, small] of [["d", "h", 864e5, 36e5], ["h", "m", 36e5, 6e4], ["m", "s", 6e4, 1e3]])
		if (ms >= scale)
			return Math.floor(ms / scale) + unit + two(Math.floor(ms % scale / small)) + part;
	return ms < 1000 ? ms + "ms" : Math.floor(ms / 1000) + "." + Math.floor(ms % 1000 / 100) + "s";
}

function compare(a, b) {
	if (a === b)
		return 0;
	if (a === null || a === undefined)
		return 1;
	if (b === null || b === undefined)
		return -1;
	return typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", {numeric: true});
}

// -- the sockets of a place --

const columns = [
	{key: 0, name: "Process"}, {key: 1, name: "fd"}, {key: 2, name: "This side"}, {key: 3, name: "Peer"},
	{key: 4, name: "State"}, {key: 5, name: "Peer gone for", show: duration},
	{key: 6, name: "Open for", show: duration}, {key: 7, name: "Unread bytes"}, {key: 8, name: "The peer is"},
	{key: 10, name: "Last used", show: duration}, {key: 9, name: "Test"},
];

function fill_sockets(box, place) {
	const shown = columns.filter((column) => place.sockets.some((socket) => socket[column.key] !== null));
	const body = element("tbody", {}), head = element("tr", {}), note = element("p", {class: "dim"});
	const more = element("button", {type: "button", class: "more"});
	const filter = element("input", {type: "search", placeholder: "Filter these sockets", "aria-label": "Filter these sockets"});
	let sort = {key: 5, down: true}, n_rows = ROWS_AT_ONCE;

	function draw() {
		const words = filter.value.toLowerCase();
		const found = place.sockets.filter((socket) => !words || socket.join(" ").toLowerCase().includes(words));
		found.sort((a, b) => compare(a[sort.key], b[sort.key]) * (sort.down ? -1 : 1));
		body.replaceChildren(...found.slice(0, n_rows).map((socket) => element("tr", {}, ...shown.map((column) => {
			const value = socket[column.key];
			return element("td", {class: "mono"}, value === null ? "" : column.show ? column.show(value) : String(value));
		}))));
		more.hidden = found.length <= n_rows;
		more.textContent = "Show " + Math.min(ROWS_AT_ONCE, found.length - n_rows) + " more of " + found.length;
	}

	for (const column of shown) {
		const button = element("button", {type: "button"}, column.name);
		button.addEventListener("click", () => {
			sort = {key: column.key, down: sort.key === column.key && !sort.down};
			draw();
		});
		head.append(element("th", {scope: "col"}, button));
	}
	filter.addEventListener("input", () => { n_rows = ROWS_AT_ONCE; draw(); });
	more.addEventListener("click", () => { n_rows += ROWS_AT_ONCE; draw(); });
	if (place.sockets.length < place.n)
		note.textContent = "The oldest " + place.sockets.length + " of " + place.n + " are in this file; `--json` has all.";
	else
		note.hidden = true;
	box.append(note, filter, element("div", {class: "scroll"}, element("table", {}, element("thead", {}, head), body)), more);
	draw();
}

// -- all frames of a place --

function fill_frames(box, place) {
	box.append(element("div", {class: "stacks"}));
	for (const [title, frames] of [["Opened", place.origin], ["End of stream", place.eof], ...place.uses.map((use) => ["Last used", use])]) {
		if (!frames || !frames.length)
			continue;
		const list = element("ol", {class: "stack"});
		for (const index of frames) {
			const [name, where, is_library] = data.frames[index];
			list.append(element("li", is_library ? {class: "fold"} : {}, element("span", {class: "name"}, name), " ", element("span", {class: "at"}, where)));
		}
		box.lastChild.append(element("div", {}, element("h3", {}, title + ", all " + frames.length + " frames"), list));
	}
}

// Once, when it is first opened.
function on_open(details, fill) {
	const now = () => {
		if (details.open && !details.dataset.filled) {
			details.dataset.filled = "1";
			fill();
		}
	};
	details.addEventListener("toggle", now);
	now();
}

// -- places: filter and sort --

const rows = [...document.querySelectorAll("details.place")].map((details, index) => {
	const place = data.places[index];
	const words = details.textContent + " " + place.sockets.map((socket) => socket.join(" ")).join(" ");
	const sockets = details.querySelector(".sockets"), frames = details.querySelector(".frames");
	if (sockets)
		on_open(sockets, () => fill_sockets(sockets, place));
	if (frames)
		on_open(frames, () => fill_frames(frames, place));
	return {details, place, words: words.toLowerCase(), parent: details.parentElement};
});
const by_place = {
	n: (row) => row.place.n, oldest: (row) => row.place.oldest,
	call: (row) => row.details.querySelector(".call").textContent,
	where: (row) => row.details.querySelector(".where").textContent,
	why: (row) => row.details.querySelector(".why").textContent,
};
const search = document.getElementById("filter");
let order = {key: "n", down: true};

function draw_places() {
	const words = search ? search.value.toLowerCase() : "";
	const get = by_place[order.key], sorted = [...rows];
	sorted.sort((a, b) => compare(get(a), get(b)) * (order.down ? -1 : 1));
	let n_shown = 0;
	for (const row of sorted) {
		row.details.hidden = words !== "" && !row.words.includes(words);
		n_shown += !row.details.hidden;
		row.parent.append(row.details);
	}
	const found = document.getElementById("found");
	if (found)
		found.textContent = words ? n_shown + " of " + rows.length + " places" : "";
	for (const button of document.querySelectorAll(".head button"))
		button.setAttribute("aria-pressed", String(button.dataset.key === order.key));
}

// #filter=WORDS&sort=KEY, so that a view can be passed on; #place-1 opens one.
function keep_view() {
	const view = new URLSearchParams();
	if (search && search.value)
		view.set("filter", search.value);
	if (order.key !== "n" || !order.down)
		view.set("sort", (order.down ? "-" : "") + order.key);
	try {
		history.replaceState(null, "", "#" + view);
	} catch (error) {
		// A viewer of artifacts may keep the page in a sandbox.
	}
}

function take_view() {
	const hash = location.hash.slice(1), view = new URLSearchParams(hash);
	const place = hash && document.getElementById(hash);
	if (place && place.matches("details.place")) {
		place.open = true;
		place.scrollIntoView();
	}
	if (search && view.has("filter"))
		search.value = view.get("filter");
	const sort = view.get("sort") || "-n", key = sort.replace(/^-/, "");
	if (Object.hasOwn(by_place, key))
		order = {key, down: sort[0] === "-"};
	draw_places();
}

function show_place(row) {
	if (search)
		search.value = "";
	draw_places();
	row.details.open = true;
	row.details.scrollIntoView();
}

if (search) {
	search.parentElement.hidden = false;
	search.addEventListener("input", () => { draw_places(); keep_view(); });
}
for (const button of document.querySelectorAll(".head button"))
	button.addEventListener("click", () => {
		const is_number = ["n", "oldest"].includes(button.dataset.key);
		order = {key: button.dataset.key, down: order.key === button.dataset.key ? !order.down : is_number};
		draw_places();
		keep_view();
	});
window.addEventListener("hashchange", take_view);
take_view();

// -- the icicle: the outermost call on top --

const ROW_HEIGHT = 21, CHARACTER = 7.3;

function tree_of(places) {
	const root = {name: "all", where: "", kind: "all", n: 0, kids: new Map()};
	for (const place of places) {
		let node = root;
		root.n += place.n;
		for (const index of place.rows) {
			const frame = data.frames[index];
			if (!node.kids.has(index))
				node.kids.set(index, {name: frame[0], where: frame[1], kind: frame[3], n: 0, kids: new Map()});
			node = node.kids.get(index);
			node.n += place.n;
		}
	}
	return root;
}

function color_of(node, depth) {
	if (node.kind === "all" || node.kind === "other" || node.kind === "note")
		return node.kind;
	return node.kind === "native" ? "box" + (node.name.length + depth) % 5 : "language" + depth % 2;
}

function draw_icicle(box, root, top) {
	const width = Math.max(320, box.clientWidth);
	const svg = drawn("svg", {role: "img", "aria-label": "calls that opened the sockets, as boxes as wide as their sockets are many"});
	let deepest = 0;

	function put(node, left, wide, depth) {
		deepest = Math.max(deepest, depth);
		const group = drawn("g", {tabindex: 0});
		const words = node.name + (node.where ? "  " + node.where : ""), room = Math.floor((wide - 8) / CHARACTER);
		const zoom = () => draw_icicle(box, root, node === top ? root : node);
		group.append(drawn("title", {}, words + "\n" + node.n + (node.n === 1 ? " socket" : " sockets")));
		group.append(drawn("rect", {x: left, y: depth * ROW_HEIGHT, width: wide, height: ROW_HEIGHT, class: color_of(node, depth)}));
		if (room > 2)
			group.append(drawn("text", {x: left + 5, y: depth * ROW_HEIGHT + 15}, words.length > room ? words.slice(0, room - 1) + "\u2026" : words));
		group.addEventListener("click", zoom);
		group.addEventListener("keydown", (event) => { if (event.key === "Enter") zoom(); });
		svg.append(group);
		for (const kid of [...node.kids.values()].sort((a, b) => b.n - a.n)) {
			const part = wide * kid.n / node.n;
			if (part >= 1)
				put(kid, left, part, depth + 1);
			left += part;
		}
	}
	put(top, 0, width, 0);
	svg.setAttribute("viewBox", "0 0 " + width + " " + (deepest + 1) * ROW_HEIGHT);
	box.replaceChildren(svg);
}

function start_icicle() {
	const list = ["leak", "late", "pending"].find((name) => data.places.some((place) => place.list === name));
	const box = document.getElementById("icicle");
	if (!list)
		return;
	const root = tree_of(data.places.filter((place) => place.list === list));
	root.name = {leak: "leaked", late: "closed late", pending: "pending"}[list];
	document.getElementById("origins").hidden = false;
	let drawn_width = 0;
	const draw = () => {
		if (box.clientWidth !== drawn_width)
			draw_icicle(box, root, root);
		drawn_width = box.clientWidth;
	};
	window.addEventListener("resize", draw);
	draw();
}
start_icicle();

// -- sockets over time --

// Round numbers up to the most, four at the most.
function steps_to(most) {
	const rough = most / 4, power = 10 ** Math.floor(Math.log10(rough));
	const step = Math.max(1, power * [1, 2, 5, 10].find((n) => n * power >= rough));
	return Array.from({length: Math.floor(most / step) + 1}, (_, i) => i * step);
}

// Of times that people count in, in ms; at most five of them make up the whole.
function time_step(whole) {
	for (const unit of [1, 10, 100, 1e3, 1e4, 6e4, 6e5, 36e5])
		for (const n of unit === 6e5 || unit === 1e4 ? [1, 1.5, 3] : [1, 2, 5])
			if (unit * n * 5 >= whole)
				return unit * n;
	const days = Math.ceil(whole / 5 / 864e5);
	return days * 864e5;
}

// What leaked, as bands that stand on each other: of the places with the most, the
// largest below, and of all others.
function leaked_bands() {
	const bands = [];
	let low = data.series.map(() => 0);

	for (const [index, counts] of data.series_of_places) {
		const high = low.map((n, i) => n + counts[i]);
		bands.push({row: rows[index], class: "band" + bands.length, counts, low, high});
		low = high;
	}
	const high = low.map((n, i) => Math.max(n, data.series[i][2]));
	const counts = high.map((n, i) => n - low[i]);
	if (counts.some((n) => n > 0))
		bands.push({row: null, class: bands.length ? "others" : "area", counts, low, high});
	return bands;
}

function name_of(band) {
	return band.row ? band.row.details.querySelector(".where").textContent : "all others";
}

function draw_chart(box, bands) {
	const series = data.series, end = series[series.length - 1];
	const width = Math.max(320, box.clientWidth), height = 230, left = 46, right = 98, tail = 8, bottom = 24, top = 10;
	const most = Math.max(1, ...series.map((point) => Math.max(point[1], point[2])));
	const x = (ms) => left + ms / end[0] * (width - left - right);
	const y = (n) => height - bottom - n / most * (height - bottom - top);
	// A count stands until the next one.
	// What was first seen at the last look has a width, too.
	const forth = (counts) => "M" + counts.map((n, i) => x(series[i][0]).toFixed(1) + (i ? "V" : " ") + y(n).toFixed(1)).join("H") + "h" + tail;
	const back = (counts) => counts.map((n, i) => "V" + y(n).toFixed(1) + "H" + x(series[i][0]).toFixed(1)).reverse().join("");
	const svg = drawn("svg", {role: "img", viewBox: "0 0 " + width + " " + height,
		"aria-label": "from " + series[0][1] + " to " + end[1] + " sockets open, from " + series[0][2] + " to " + end[2] + " leaked, in " + duration(end[0])});

	for (const n of steps_to(most)) {
		svg.append(drawn("line", {class: "grid", x1: left, x2: width - right + tail, y1: y(n), y2: y(n)}));
		svg.append(drawn("text", {x: left - 8, y: y(n) + 4, "text-anchor": "end"}, n.toLocaleString("en")));
	}
	const step = time_step(end[0]);
	for (let ms = 0; ms <= end[0]; ms += step)
		svg.append(drawn("text", {x: x(ms), y: height - 6, "text-anchor": ms ? "middle" : "start"}, ms ? duration(ms) : "0"));
	for (const band of bands) {
		const path = drawn("path", {class: band.class, d: forth(band.high) + back(band.low) + "Z"});
		path.append(drawn("title", {}, name_of(band)));
		svg.append(path);
	}
	for (const [key, name] of [[1, "open"], [2, "leaked"]])
		svg.append(drawn("path", {class: name, d: forth(series.map((point) => point[key]))}));
	// The two words do not stand on each other.
	const leaked_at = y(end[2]) + 4, open_at = Math.min(y(end[1]) + 4, leaked_at - 15);
	const down = Math.max(0, 12 - open_at);
	svg.append(drawn("text", {x: width - right + tail + 6, y: open_at + down}, end[1].toLocaleString("en") + " open"));
	svg.append(drawn("text", {class: "last", x: width - right + tail + 6, y: leaked_at + down}, end[2].toLocaleString("en") + " leaked"));
	box.replaceChildren(svg);
}

// Which band is which place; a click shows the place.
function list_bands(list, bands) {
	for (const band of bands) {
		const last = band.counts[band.counts.length - 1], most = Math.max(...band.counts);
		const words = last.toLocaleString("en") + (most > last ? " (once " + most.toLocaleString("en") + ")" : "");
		const name = band.row ? element("a", {href: "#" + band.row.details.id}, ...band.row.details.querySelector(".where").cloneNode(true).childNodes) : "all others";

		list.append(element("li", {}, element("i", {class: band.class}), words, " ", name));
		if (band.row)
			name.addEventListener("click", (event) => {
				event.preventDefault();
				show_place(band.row);
			});
	}
}

// Of a program that was looked at only at its end there is nothing to tell over time.
if (data.series.slice(0, -1).some((point) => point[1] > 0)) {
	const box = document.getElementById("chart"), bands = leaked_bands();
	document.getElementById("series").hidden = false;
	window.addEventListener("resize", () => draw_chart(box, bands));
	draw_chart(box, bands);
	if (data.series_of_places.length)
		list_bands(document.getElementById("bands"), bands);
}
document.documentElement.dataset.ready = "1";
})();
