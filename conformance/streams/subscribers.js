"use strict";

// Three clients that frontends use, subscribed to the events of one image request. Each gathers what it is told, and on
// its reconnect goes on after the last cursor: the first two say so in the argument after, EventSource in Last-Event-ID.
const { inspect } = require("node:util");
const { createClient: webSocketClient } = require("graphql-ws");
const { createClient: sseClient } = require("graphql-sse");
const { EventSource } = require("eventsource");
const WebSocket = require("ws");
const { check } = require("../suite.js");

const query = `subscription Events($after: String, $imageRequest: ID) {
  events(after: $after, imageRequest: $imageRequest) {
    cursor
    seq
    action
    changes { field from to }
    imageRequest { id }
  }
}`;

const RETRIES = { retryAttempts: 600, wait: () => new Promise((resolve) => setTimeout(resolve, 50)) };

// Subscriber is what all of them have: the events told, how often it connected, and what went wrong.
class Subscriber {
  events = [];
  connects = 0;
  closes = []; // codes
  faults = [];

  constructor(name, after, imageRequest) {
    this.name = name;
    this.variables = { after, imageRequest };
  }

  take({ data, errors }) {
    if (errors) {
      this.faults.push(errors);
    } else {
      this.events.push(data.events);
      this.variables.after = data.events.cursor; // the clients send what stands here when they connect again
    }
  }

  sink() {
    return {
      next: (result) => this.take(result),
      error: (error) => this.faults.push(error),
      complete: () => this.faults.push("the subscription ended"),
    };
  }
}

exports.overWebSocket = (base, token, after, imageRequest) => {
  const subscriber = new Subscriber("graphql-ws", after, imageRequest);
  const client = webSocketClient({
    url: `${base.replace("http", "ws")}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { Authorization: `Token ${token}` },
    retryAttempts: RETRIES.retryAttempts,
    retryWait: RETRIES.wait,
    shouldRetry: () => true, // also a refused connection, with which it would give up
    on: { connected: () => subscriber.connects++, closed: ({ code }) => subscriber.closes.push(code) },
  });
  const stop = client.subscribe({ query, variables: subscriber.variables }, subscriber.sink());
  subscriber.stop = () => (stop(), client.dispose());
  return subscriber;
};

exports.overSSE = (base, token, after, imageRequest) => {
  const subscriber = new Subscriber("graphql-sse", after, imageRequest);
  const client = sseClient({
    url: `${base}/graphql`,
    headers: { Authorization: `Token ${token}` },
    retryAttempts: RETRIES.retryAttempts,
    retry: RETRIES.wait,
    on: { connected: () => subscriber.connects++ },
  });
  const stop = client.subscribe({ query, variables: subscriber.variables }, subscriber.sink());
  subscriber.stop = () => (stop(), client.dispose());
  return subscriber;
};

exports.overEventSource = (base, token, after, imageRequest) => {
  const subscriber = new Subscriber("EventSource", after, imageRequest);
  const address = new URL(`${base}/graphql`);
  address.search = new URLSearchParams({ query, variables: JSON.stringify(subscriber.variables) });
  const source = new EventSource(address, {
    fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, Authorization: `Token ${token}` } }),
  });
  source.addEventListener("open", () => subscriber.connects++);
  source.addEventListener("error", ({ message }) => {
    if (source.readyState === EventSource.CLOSED) {
      subscriber.faults.push(`it gave up: ${message}`);
    }
  });
  source.addEventListener("next", ({ data, lastEventId }) => {
    const result = JSON.parse(data);
    if (result.data && result.data.events.cursor !== lastEventId) {
      subscriber.faults.push(`the event ${lastEventId} has the cursor ${result.data.events.cursor}`);
    }
    subscriber.take(result);
  });
  source.addEventListener("complete", () => {
    source.close();
    subscriber.faults.push("the subscription ended");
  });
  subscriber.stop = () => source.close();
  return subscriber;
};

// sound checks that nothing went wrong with a subscriber.
exports.sound = ({ name, faults }) => check(faults.length === 0, `${name} has no fault, but ${inspect(faults, { depth: 2 })}`);
