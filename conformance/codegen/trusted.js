"use strict";

// Starts a server that carries out nothing but the documents in the manifest of graphql-codegen's client preset, as the
// preset writes it, and runs the client against it, which sends hashes only.
//
//   node trusted.js BINARY DATA LOG TOKEN CLIENT        CLIENT is the folder of the generated client
const { execFile } = require("node:child_process");
const { join, resolve } = require("node:path");
const { promisify } = require("node:util");
const { Server } = require("../server.js");
const { check, suite } = require("../suite.js");

const [, , binary, data, log, token, client] = process.argv;

suite(async () => {
  const manifest = resolve(client, "gql", "persisted-documents.json");
  const server = new Server(binary, data, log, "--trusted-documents", manifest);
  await server.start();
  await promisify(execFile)(process.execPath, [join(client, "client.js"), server.base, token, "by-hash"]);

  const response = await fetch(`${server.base}/graphql`, {
    method: "POST",
    headers: { Authorization: `Token ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ query: "{ viewer { username } }" }),
  });
  const { data: answered, errors } = await response.json();
  check(!answered && errors[0].extensions.code === "FORBIDDEN", "another document is FORBIDDEN");
  await server.stop();
  const count = Object.keys(require(manifest)).length;
  return `the client compiles under tsc --strict, ${count} persisted documents run, also as the only ones trusted`;
});
