"use strict";

// A server of a suite's own, which can be stopped, killed and started again on the same data and the same port.
const { spawn } = require("node:child_process");
const { openSync } = require("node:fs");
const { createServer } = require("node:net");
const { once } = require("node:events");
const { check, poll } = require("./suite.js");

exports.Server = class {
  constructor(binary, data, log, ...options) {
    Object.assign(this, { binary, data, log: openSync(log, "a"), options });
    // It ends with the suite, whatever ends that.
    for (const signal of ["SIGINT", "SIGTERM"]) {
      process.once(signal, () => process.exit(1));
    }
    process.on("exit", () => this.process?.kill("SIGKILL"));
  }

  async start() {
    this.port ??= await freePort();
    this.base = `http://127.0.0.1:${this.port}`;
    const args = ["serve", "--demo", "--listen", `127.0.0.1:${this.port}`, "--data", this.data, ...this.options];
    this.process = spawn(this.binary, args, { stdio: ["ignore", this.log, this.log] });
    await poll("the server is ready", () => {
      check(this.process.exitCode === null, `the server runs, but it ended with status ${this.process.exitCode}`);
      return fetch(`${this.base}/readyz`).then((r) => r.ok, () => false);
    }, 60_000);
  }

  // stop ends the server in order.
  async stop() {
    const status = await this.end("SIGTERM");
    check(status === 0, `told to stop, the server ends in order, not with ${status}`);
  }

  // kill ends the server at once, as a power cut would.
  async kill() {
    await this.end("SIGKILL");
  }

  async end(signal) {
    const ended = once(this.process, "exit");
    this.process.kill(signal);
    const [code, by] = await ended;
    return code ?? by;
  }
};

async function freePort() {
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}
