"use strict";

// The playground around GraphiQL: how requests are sent, which tabs are open, and as whom each tab is signed in.

// GraphiQL's dialogs and menus add a <style> element of their own. It bears this nonce, so that the
// Content-Security-Policy need not allow inline styles; the name is the one that the library looks for.
window.__webpack_nonce__ = document.getElementById("playground-css").nonce;

// startPlayground draws GraphiQL. The page calls it once, with what the server configured (see config in playground.go).
function startPlayground(config) {
  const tabs = config.tabs.map((tab) => ({
    ...tab,
    variables: tab.variables.replaceAll(config.freshUUID, randomUUID),
  }));
  const h = React.createElement;
  ReactDOM.createRoot(document.getElementById("graphiql")).render(
    h(
      GraphiQL,
      {
        fetcher: (params, options) => send(config.endpoint, params, options ?? {}),
        defaultTabs: tabs,
        // The editors start with these, not with what defaultTabs has for the first tab.
        ...tabs[0],
        defaultHeaders: config.headers,
        defaultEditorToolsVisibility: "headers",
        // Nothing outlives the page: neither a token, nor tabs that were written for another schema.
        storage: null,
        shouldPersistHeaders: false,
        onSchemaChange: () => {
          document.body.dataset.schema = "loaded";
        },
      },
      h(GraphiQL.Logo, null, h("span")),
      h(Session, { users: config.users }),
    ),
  );
}

// Session shows in the title bar as whom the tab in front is signed in, and rewrites its headers for another user.
function Session({ users }) {
  const h = React.createElement;
  const { headerEditor, tabs, activeTabIndex, updateActiveTabValues } = GraphiQL.React.useEditorContext({ nonNull: true });
  const headers = parseHeaders(tabs[activeTabIndex]?.headers);
  const current = headers?.Authorization ?? "";

  const choices = users.map(({ name, token }) => ({ name, value: "Token " + token }));
  if (choices.length > 0) {
    choices.push({ name: "nobody", value: "" });
  }
  if (!choices.some(({ value }) => value === current)) {
    choices.push({ name: current ? "as the headers say" : "nobody", value: current });
  }

  const change = (event) => {
    const { Authorization: _, ...others } = headers ?? {};
    const value = event.target.value;
    const text = JSON.stringify(value ? { Authorization: value, ...others } : others, null, 2);
    headerEditor?.setValue(text);
    updateActiveTabValues({ headers: text });
  };

  return ReactDOM.createPortal(
    h(
      "label",
      null,
      "This tab is signed in as",
      h(
        "select",
        { id: "user", value: current, onChange: change, disabled: users.length === 0 },
        choices.map(({ name, value }) => h("option", { key: value, value }, name)),
      ),
    ),
    document.getElementById("session"),
  );
}

// parseHeaders reads a headers pane; null while it is not a JSON object.
function parseHeaders(text) {
  try {
    const headers = JSON.parse(text || "{}");
    return typeof headers === "object" && !Array.isArray(headers) ? headers : null;
  } catch {
    return null;
  }
}

// send is GraphiQL's fetcher. It answers with a promise of one result, or for a subscription with an observable.
function send(endpoint, params, { headers = {}, documentAST }) {
  const streaming = isSubscription(documentAST, params.operationName);
  const init = {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: streaming ? "text/event-stream" : "application/graphql-response+json, application/json",
      ...withoutComments(headers),
    },
    body: JSON.stringify(params),
  };
  return streaming ? subscribe(endpoint, init) : fetch(endpoint, init).then(readResult).catch(asResult);
}

// withoutComments drops the headers whose name begins with two slashes: JSON has no comments, and the pane's hint is one.
function withoutComments(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith("//")));
}

function isSubscription(document, name) {
  const operations = (document?.definitions ?? []).filter(({ kind }) => kind === "OperationDefinition");
  const chosen = name ? operations.find((operation) => operation.name?.value === name) : operations[0];
  return chosen?.operation === "subscription";
}

// readResult reads an answer that should be a GraphQL result; what is none, such as a proxy's page, becomes an error.
async function readResult(response) {
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return asResult(new Error(`HTTP status ${response.status}: ${text.slice(0, 500)}`));
  }
}

function asResult(error) {
  return { errors: [{ message: error.message }] };
}

// subscribe runs a subscription over server-sent events, as the graphql-sse protocol has it in distinct mode.
function subscribe(endpoint, init) {
  return {
    subscribe(sink) {
      const stop = new AbortController();
      fetch(endpoint, { ...init, signal: stop.signal })
        .then((response) => readEvents(response, sink))
        .catch((error) => stop.signal.aborted || sink.next(asResult(error)))
        .finally(() => sink.complete());
      return { unsubscribe: () => stop.abort() };
    },
  };
}

// readEvents hands each result of the stream to the sink, and returns when the subscription has ended. It fails if the
// stream breaks off before.
async function readEvents(response, sink) {
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    sink.next(await readResult(response));
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) {
      throw new Error("The connection was lost. Run it again.");
    }
    const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
    rest = blocks.pop();
    for (const { event, data } of blocks.map(parseEvent)) {
      if (event === "next") {
        sink.next(JSON.parse(data));
      } else if (event === "complete") {
        await reader.cancel();
        return;
      }
    }
  }
}

function parseEvent(block) {
  const lines = block.split("\n");
  const field = (name) =>
    lines.filter((line) => line.startsWith(name + ":")).map((line) => line.slice(name.length + 1).replace(/^ /, ""));
  return { event: field("event")[0], data: field("data").join("\n") };
}

// randomUUID is crypto.randomUUID also where that is missing: on a page that came over plain HTTP from another host.
function randomUUID() {
  if (crypto.randomUUID) {
    return crypto.randomUUID();
  }
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
