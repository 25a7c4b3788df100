// Tells the library where the program's own code opened each TCP socket: loaded by
// `sockleak run --node`, or by NODE_OPTIONS="--require /usr/lib/sockleak/sockleak_node.js"
// where libsockleak.so is preloaded.
//
// libuv connects and accepts with no frame of JavaScript on the stack. So the stack is taken
// where connect() and listen() of node:net are called, and handed over as soon as there is a
// descriptor. Nothing here may throw, or keep the process alive.
"use strict";
(() => {
	const {captureStackTrace} = Error, {apply, defineProperty, getOwnPropertyDescriptor} = Reflect;
	const noteOf = () => {
		const library = (process.env.LD_PRELOAD || "").split(/[ :]/)
			.find((path) => /\/libsockleak[^/]*\.so[^/]*$/.test(path));
		const addon = {exports: {}};

		// It is in the process already: this gives its handle.
		if (library)
			process.dlopen(addon, library);
		return addon.exports.note;
	};
	let note;

	try {
		note = noteOf();
	} catch {
		return; // --no-addons, or another library of that name
	}
	if (typeof note !== "function")
		return;

	const net = require("node:net");
	const stacks = new WeakMap(); // of a Socket or a Server, where it was asked for
	const get = WeakMap.prototype.get, set = WeakMap.prototype.set;
	const assign = (key, value) => {
		try {
			Error[key] = value;
		} catch {
			// --frozen-intrinsics
		}
	};
	// As V8 writes it: neither the program's limit nor its own form counts.
	const stackFrom = (caller) => {
		const {stackTraceLimit, prepareStackTrace} = Error;
		const holder = {};

		assign("stackTraceLimit", 32);
		assign("prepareStackTrace", undefined);
		try {
			captureStackTrace(holder, caller);
			return String(holder.stack);
		} catch {
			return "";
		} finally {
			assign("stackTraceLimit", stackTraceLimit);
			assign("prepareStackTrace", prepareStackTrace);
		}
	};
	const tell = (handle, stack) => {
		try {
			if (handle && handle.fd >= 0 && stack)
				note(handle.fd, stack);
		} catch {
			// A handle that is none of libuv's.
		}
	};
	const keep = (of, caller) => {
		try {
			apply(set, stacks, [of, stackFrom(caller)]);
		} catch {
			// `of` is no object.
		}
	};
	// The call looks the same to the program, but for its source.
	const wrap = (object, name, around) => {
		const was = getOwnPropertyDescriptor(object, name);

		if (!was || typeof was.value !== "function")
			return;
		const value = around(was.value);
		for (const key of ["name", "length"])
			defineProperty(value, key, getOwnPropertyDescriptor(was.value, key));
		defineProperty(object, name, {...was, value});
	};

	// A connection gets its descriptor after the name was resolved, in these calls of
	// libuv's handle; `owner` is the symbol by which it knows its Socket.
	let isHandleWrapped = false;
	const wrapHandle = (handle) => {
		if (isHandleWrapped || !handle || handle.constructor.name !== "TCP")
			return;
		isHandleWrapped = true;
		const owner = Object.getOwnPropertySymbols(handle)
			.find((symbol) => symbol.description === "owner_symbol");
		for (const name of ["connect", "connect6"])
			wrap(handle.constructor.prototype, name, (connect) => function (...given) {
				const result = apply(connect, this, given);
				const socket = owner && this[owner];

				if (socket)
					tell(this, apply(get, stacks, [socket]));
				return result;
			});
	};

	wrap(net.Socket.prototype, "connect", (connect) => function wrapped(...given) {
		keep(this, wrapped);
		const result = apply(connect, this, given);

		try {
			wrapHandle(this._handle);
		} catch {
			// Its prototype is frozen.
		}
		return result;
	});
	wrap(net.Server.prototype, "listen", (listen) => function wrapped(...given) {
		keep(this, wrapped);
		return apply(listen, this, given);
	});
	require("node:diagnostics_channel").subscribe("net.server.socket", ({socket}) =>
		tell(socket._handle, socket.server && apply(get, stacks, [socket.server])));
})();
