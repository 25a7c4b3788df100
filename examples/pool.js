// A pool that forgets a connection whose server has gone.
//
// The client's side stays open for what it may still send, and nobody ends it.
//
//     sockleak run --node --grace=200ms -- node examples/pool.js
//
// README.md shows what it prints.
"use strict";
const net = require("net");

class Pool {
	connections = [];

	take(port) {
		const connection = net.connect({port, host: "127.0.0.1", allowHalfOpen: true});

		this.connections.push(connection);
		return connection.on("data", () => {}); // and on("end")? Nobody listens.
	}
}

function main() {
	const pool = new Pool();
	const server = net.createServer((client) => client.end("bye")).listen(0, "127.0.0.1", () => {
		for (let i = 0; i < 3; i++)
			pool.take(server.address().port);
		setTimeout(() => process.exit(0), 1500);
	});
}

console.log("expect close-wait eof-read 3 socket Pool.take pool.js:15");
main();
