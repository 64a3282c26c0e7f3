"use strict";

// The closings of graphql-transport-ws, as the graphql-ws client meets them: it runs over a socket that spoils what it
// says, in one way each.
const { CloseCode, createClient } = require("graphql-ws");
const WebSocket = require("ws");
const { check } = require("../suite.js");

const subscribe = { id: "1", type: "subscribe", payload: { query: "subscription { events { cursor } }" } };

// spoilt answers a WebSocket that sends, in the place of each message, those that spoil makes of it.
const spoilt = (spoil) =>
  class extends WebSocket {
    send(text) {
      for (const message of spoil(JSON.parse(text))) {
        super.send(typeof message === "string" ? message : JSON.stringify(message));
      }
    }
  };

const faults = [
  { code: CloseCode.BadRequest, fault: "no JSON", spoil: () => ["{"] },
  { code: CloseCode.BadRequest, fault: "an unknown type", spoil: (message) => [{ ...message, type: "start" }] },
  { code: CloseCode.Unauthorized, fault: "a subscription before connection_init", spoil: () => [subscribe] },
  { code: CloseCode.Forbidden, fault: "a bad token", token: "nobody-has-this", spoil: (message) => [message] },
  { code: CloseCode.ConnectionInitialisationTimeout, fault: "silence", spoil: () => [] },
  {
    code: CloseCode.SubscriberAlreadyExists,
    fault: "one id twice",
    spoil: (message) => (message.type === "subscribe" ? [message, message] : [message]),
  },
  { code: CloseCode.TooManyInitialisationRequests, fault: "two inits", spoil: (message) => [message, message] },
];

// closing is what the client is told when the server closes the socket.
function closing(base, token, spoil) {
  return new Promise((resolve, reject) => {
    const client = createClient({
      url: `${base.replace("http", "ws")}/graphql`,
      webSocketImpl: spoilt(spoil),
      connectionParams: { Authorization: `Token ${token}` },
      connectionAckWaitTimeout: 0, // it is for the server to lose its patience
      retryAttempts: 0,
    });
    client.subscribe(subscribe.payload, {
      next: (result) => reject(new Error(`not so: there is no answer, but ${JSON.stringify(result)}`)),
      error: resolve, // the event of the closing
      complete: () => reject(new Error("not so: the socket is closed, but the subscription ended")),
    });
  });
}

// tryClosings makes all faults at once, and answers the codes that were seen.
exports.tryClosings = async (base, token) => {
  await Promise.all(
    faults.map(async ({ code, fault, token: bad, spoil }) => {
      const seen = await closing(base, bad ?? token, spoil);
      check(seen.code === code, `${fault} is closed with ${code}, not ${seen.code} ${seen.reason ?? seen}`);
    }),
  );
  return [...new Set(faults.map(({ code }) => code))].sort();
};
