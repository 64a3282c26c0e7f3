"use strict";

// Opens the playground in a real browser and runs every example tab, as a newcomer would.
//
//   node playground.js BASE SCREENSHOT        CHROMIUM names the browser, by default the one in PATH
//
// Fails on a console error, a violation of the Content-Security-Policy, a request to any other host, on an example that
// does not answer with data alone, and on a subscription that does not show an event as it happens.
const { execFileSync } = require("node:child_process");
const { isDeepStrictEqual } = require("node:util");
const { chromium } = require("playwright-core");
const { graphql, poll } = require("./suite.js");

const [, , base, screenshot] = process.argv;
const origin = new URL(base).origin;
const PATIENCE = 30_000; // milliseconds for each step
const stopped = new Set(); // requests that were broken off on purpose

const flags = [
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-quic",
  "--no-first-run",
  // Whatever the page or the browser itself asks for, no other host is reached.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM || execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim(),
    args: flags,
    chromiumSandbox: process.getuid?.() !== 0, // root cannot have one: this is --no-sandbox
  });
  try {
    const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
    page.setDefaultTimeout(PATIENCE);
    const faults = await watch(page);
    try {
      const names = await tryExamples(page);
      if (faults.length === 0) {
        console.log(`${names.length} examples answered with data: ${names.join(", ")}`);
      }
    } catch (error) {
      faults.push(error.message);
    }
    await page.screenshot({ path: screenshot });
    return faults;
  } finally {
    await browser.close();
  }
}

// watch gathers whatever goes wrong on the page from now on.
async function watch(page) {
  const faults = [];
  page.on("console", (message) => {
    if (message.type() === "error") {
      faults.push(`console: ${message.text()} (${message.location().url})`);
    }
  });
  page.on("pageerror", (error) => faults.push(`uncaught: ${error.stack}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && !["data:", "blob:"].includes(url.protocol)) {
      faults.push(`request to another host: ${request.method()} ${url}`);
    }
  });
  page.on("requestfailed", (request) => {
    if (!stopped.has(request)) {
      faults.push(`failed: ${request.url()}: ${request.failure()?.errorText}`);
    }
  });
  await page.exposeFunction("reportViolation", (text) => faults.push(`Content-Security-Policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.reportViolation(`${event.effectiveDirective} forbids ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`);
    });
  });
  return faults;
}

// tryExamples runs all tabs in their order and answers their names.
async function tryExamples(page) {
  const response = await page.goto(`${base}/playground`);
  if (response.status() !== 200 || !response.headers()["content-security-policy"]) {
    throw new Error(`/playground: status ${response.status()}, or no Content-Security-Policy`);
  }
  // GraphiQL has drawn itself, asked for the schema and read it.
  await page.locator(".graphiql-execute-button").waitFor();
  await page.waitForFunction(() => document.body.dataset.schema === "loaded").catch(() => {
    throw new Error("the schema was not loaded");
  });

  const tabs = page.locator(".graphiql-tab-button");
  const count = await tabs.count();
  const names = [];
  const kinds = new Set();
  let viewer;
  for (let i = 0; i < count; i++) {
    const name = (await tabs.nth(i).innerText()).trim();
    await tabs.nth(i).click();
    const { kind, result } = await runTab(page, name, i % 2 === 0).catch((error) => {
      throw new Error(`the example ${name}: ${error.message}`);
    });
    if (!result.data || result.errors || Object.values(result.data).includes(null)) {
      throw new Error(`the example ${name} answers ${JSON.stringify(result)}`);
    }
    names.push(name);
    kinds.add(kind);
    viewer ??= result.data.viewer?.username;
  }
  for (const kind of ["query", "mutation", "subscription"]) {
    if (!kinds.has(kind)) {
      throw new Error(`the examples have no ${kind}: ${names.join(", ")}`);
    }
  }
  if (viewer !== "username") {
    throw new Error(`the playground opens signed in as ${viewer}, not as username`);
  }
  return names;
}

// runTab runs the tab in front, by its button or by Ctrl-Enter, and reads what the result pane then shows.
async function runTab(page, name, byButton) {
  // GraphiQL parses the editor a moment after the tabs have changed places; until then it would name the other tab's
  // operation.
  await page.waitForFunction(
    (name) => document.querySelector(".graphiql-query-editor .CodeMirror")?.CodeMirror.operationName === name,
    name,
  );
  const sent = page.waitForRequest((r) => new URL(r.url()).pathname === "/graphql" && r.method() === "POST");
  if (byButton) {
    await page.locator(".graphiql-execute-button").click();
  } else {
    await page.locator(".graphiql-query-editor .CodeMirror").first().click();
    await page.keyboard.press("Control+Enter");
  }
  const request = await sent;
  const { query, variables } = request.postDataJSON();
  const kind = /^\s*(query|mutation|subscription)\b/m.exec(query)?.[1];
  if (kind === "subscription") {
    const result = await watchTab(page, variables.id, request.headers().authorization);
    stopped.add(request);
    await page.locator(".graphiql-execute-button").click();
    return { kind, result };
  }
  const want = JSON.parse(await (await request.response()).text());
  return { kind, result: await shown(page, (result) => isDeepStrictEqual(result.data, want.data)) };
}

// watchTab waits until the subscription in front shows an event, changes the image request that it watches, and waits
// until that is shown.
async function watchTab(page, imageRequest, authorization) {
  await shown(page, ({ data }) => data?.events);
  const { editImageRequest } = await graphql(
    base,
    authorization.replace(/^Token /, ""),
    `mutation EditImageRequest($input: EditImageRequestInput!) {
      editImageRequest(input: $input) { imageRequest { events(last: 1) { nodes { seq } } } }
    }`,
    { input: { imageRequest, description: `Watched ${crypto.randomUUID()}` } },
  );
  const [{ seq }] = editImageRequest.imageRequest.events.nodes;
  return shown(page, ({ data }) => data?.events.seq >= seq); // a worker may already have told more
}

// shown answers what the result pane shows as soon as it passes the test. The editor draws visible lines only, so its
// model is read, not its elements.
async function shown(page, test) {
  let result;
  await poll("the result is shown", async () => {
    const pane = () => document.querySelector(".result-window .CodeMirror")?.CodeMirror.getValue();
    const text = (await page.evaluate(pane)) || "{}";
    result = text.startsWith("{") ? JSON.parse(text) : {};
    return test(result);
  });
  return result;
}

main().then(
  (faults) => {
    faults.forEach((fault) => console.error(fault));
    process.exitCode = faults.length > 0 ? 1 : 0;
  },
  (error) => {
    console.error(error);
    process.exitCode = 1;
  },
);
