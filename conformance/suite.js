"use strict";

// What the suites written in JavaScript share. A suite prints what helps to understand a failure, and as its last line
// what it has shown.

const PATIENCE = 300_000; // milliseconds; a suite that takes longer hangs

// suite runs main, prints the line that it answers, and fails if it throws.
exports.suite = (main) => {
  setTimeout(() => {
    console.error(`not done after ${PATIENCE / 1000} s`);
    process.exit(1);
  }, PATIENCE).unref();
  main().then(console.log, (error) => {
    console.error(error);
    process.exit(1); // whatever is still open
  });
};

exports.check = (holds, claim) => {
  if (!holds) {
    throw new Error(`not so: ${claim}`);
  }
};

// poll asks until the answer is true.
exports.poll = async (claim, ask, patience = 30_000) => {
  for (const end = Date.now() + patience; !(await ask()); ) {
    if (Date.now() > end) {
      throw new Error(`not so after ${patience / 1000} s: ${claim}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};

// graphql sends one operation by a plain POST and answers its data: what a suite needs beside the client that it tries.
exports.graphql = async (base, token, query, variables) => {
  const response = await fetch(`${base}/graphql`, {
    method: "POST",
    headers: { Authorization: `Token ${token}`, "Content-Type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) {
    throw new Error(`${query}: ${JSON.stringify(errors)}`);
  }
  return data;
};

// requestImages asks for so many images of new instances and answers their image requests, newest last.
exports.requestImages = async (base, token, count, name) => {
  const made = [];
  for (let i = 1; i <= count; i++) {
    const { requestImage } = await exports.graphql(
      base,
      token,
      `mutation RequestImage($input: RequestImageInput!) {
        requestImage(input: $input) { imageRequest { id name revision } }
      }`,
      { input: { name: `${name} ${i}`, instance: crypto.randomUUID(), provider: 1, visibility: "PRIVATE", tags: [name] } },
    );
    made.push(requestImage.imageRequest);
  }
  return made;
};
