"use strict";

// Streams: what the clients that frontends use make of the server's subscriptions over WebSocket and server-sent events.
//
//   node run.js BINARY DATA LOG        a folder for the server's data, and a file for what it says
//
// Three clients follow one image request while it is edited and the server is stopped, and later killed, and started
// again: each must end with the very events that the record has.
const { Server } = require("../server.js");
const { check, graphql, poll, requestImages, suite } = require("../suite.js");
const { tryClosings } = require("./closings.js");
const { overEventSource, overSSE, overWebSocket, sound } = require("./subscribers.js");

const [, , binary, data, log] = process.argv;
const token = "demo-username";
const EDITS = 10; // before and after each start
const RESTARTED = [1012, 1001]; // what a socket is told by a server that stops

const server = new Server(binary, data, log);
const clients = [overWebSocket, overSSE, overEventSource];

const edit = (id, text) =>
  graphql(
    server.base,
    token,
    `mutation EditImageRequest($input: EditImageRequestInput!) { editImageRequest(input: $input) { imageRequest { revision } } }`,
    { input: { imageRequest: id, description: text } },
  );

// edits makes so many edits, each tried again until the server, which may be away, has taken it.
async function edits(id, count) {
  for (let made = 0; made < count; ) {
    made += await edit(id, `Edited ${crypto.randomUUID()}`).then(() => 1, () => 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

// record is what the table has of an image request.
async function record(id) {
  const { imageRequest } = await graphql(
    server.base,
    token,
    `query Record($id: ID!) { imageRequest(id: $id) { events(first: 100) { totalCount nodes { cursor seq action } } } }`,
    { id },
  );
  check(imageRequest.events.totalCount <= 100, "the record fits a page");
  return imageRequest.events.nodes;
}

// wrong expects each client to be told in the stream that a request is not there.
async function wrong() {
  for (const connect of clients) {
    const subscriber = connect(server.base, token, null, crypto.randomUUID());
    await poll(`${subscriber.name} is told what is wrong`, () => subscriber.faults.length > 0);
    const told = subscriber.faults[0][0]?.extensions?.code;
    check(told === "NOT_FOUND", `${subscriber.name} is told NOT_FOUND, not ${JSON.stringify(subscriber.faults)}`);
    subscriber.stop();
  }
}

// fromNowOn expects each client that names no cursor to be told of the next edit, and of nothing before.
async function fromNowOn(id) {
  const before = (await record(id)).length;
  const subscribers = clients.map((connect) => connect(server.base, token, null, id));
  // That a client is connected does not tell it that its subscription has begun: it is edited until all have heard.
  await poll("all clients are told of an edit", async () => {
    await edit(id, `Edited ${crypto.randomUUID()}`);
    return subscribers.every((subscriber) => told(subscriber, 1));
  });
  for (const subscriber of subscribers) {
    const [{ seq, action, changes, imageRequest }] = subscriber.events;
    check(seq > before && action === "EDITED" && imageRequest.id === id, `${subscriber.name} is told of an edit from now on`);
    check(changes.length === 1 && changes[0].field === "description", `${subscriber.name} is told what has changed`);
    subscriber.stop();
  }
}

// restarts edits the request while the server stops, is killed and starts again, and compares what the clients were told
// with the record. It answers how many events that were.
async function restarts(id) {
  const subscribers = clients.map((connect) => connect(server.base, token, "", id)); // "": from the beginning
  const all = async () => {
    const events = await record(id);
    await poll(`all clients are told of ${events.length} events`, () => subscribers.every((one) => told(one, events.length)));
    return events;
  };
  await edits(id, EDITS);
  for (const end of [() => server.stop(), () => server.kill()]) {
    await all();
    const restarting = end().then(() => server.start());
    await edits(id, EDITS); // the first while it still serves, the others as soon as it is back
    await restarting;
  }
  await all();
  await edits(id, 1); // one more, before which a doubled event would have come
  const events = await all();
  for (const subscriber of subscribers) {
    const places = (list) => list.map(({ seq, action, cursor }) => `${seq} ${action} ${cursor}`);
    const [got, want] = [subscriber.events, events].map(places);
    check(got.join() === want.join(), `${subscriber.name} is told\n${want.join("\n")}\nand not\n${got.join("\n")}`);
    check(events.every(({ seq }, i) => seq === i + 1), "the record has no gap");
    check(subscriber.connects >= 3, `${subscriber.name} connected three times, not ${subscriber.connects}`);
    subscriber.stop();
  }
  const { closes } = subscribers[0];
  check(RESTARTED.includes(closes[0]), `a server that stops closes a socket with ${RESTARTED}, not ${closes[0]}`);
  return events.length;
}

// told says whether the subscriber has been told of so many events; it fails if something went wrong with it.
function told(subscriber, count) {
  sound(subscriber);
  return subscriber.events.length >= count;
}

async function main() {
  await server.start();
  const [one, other] = await requestImages(server.base, token, 2, "streams");
  const [codes] = await Promise.all([tryClosings(server.base, token), wrong().then(() => fromNowOn(one.id))]);
  const events = await restarts(other.id);
  await server.stop();
  const names = "graphql-ws, graphql-sse and EventSource";
  return `${names} are told ${events} events over a stop and a kill, none lost or doubled; closings ${codes.join(" ")}`;
}

suite(main);
