"use strict";

// What Dredd itself lets pass: it compares the shape of two JSON values, but allows further keys, keys in another
// order, and any text for a date. The seed's clients see bytes, so these hooks look closer.
const hooks = require("hooks");
const { isDeepStrictEqual } = require("node:util");

const DATE = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const isString = (value) => typeof value === "string";
const isInteger = Number.isInteger;
const isBoolean = (value) => typeof value === "boolean";
const isUUID = (value) => isString(value) && UUID.test(value);
const isDate = (value) => isString(value) && DATE.test(value) && !Number.isNaN(Date.parse(value));
const isAddress = (value) => isString(value) && URL.canParse(value);
const orNull = (check) => (value) => value === null || check(value);

// Each shape lists all keys, in the documented order, with what their value has to be.
const version = { alias: isString, version: isString, start_date: isDate, end_date: orNull(isDate), provider: isInteger };
const item = {
  id: isUUID,
  icon: orNull(isString),
  created_by: isString,
  name: isString,
  tags: [isString],
  description: isString,
  start_date: isDate,
  end_date: orNull(isDate),
  private: isBoolean,
  versions: [version],
};
const collection = { count: isInteger, next: orNull(isAddress), previous: orNull(isAddress), results: [item] };

// faults lists where a value is not of the shape: a check, [shape of each element], or {key: shape}.
function faults(value, shape, path = "body") {
  if (typeof shape === "function") {
    return shape(value) ? [] : [`${path} is ${JSON.stringify(value)}`];
  }
  if (Array.isArray(shape)) {
    return Array.isArray(value)
      ? value.flatMap((element, i) => faults(element, shape[0], `${path}[${i}]`))
      : [`${path} is not an array`];
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return [`${path} is not an object`];
  }
  const got = Object.keys(value).join(", ");
  const want = Object.keys(shape).join(", ");
  if (got !== want) {
    return [`${path} has the keys ${got}; documented are, in this order, ${want}`];
  }
  return Object.keys(shape).flatMap((key) => faults(value[key], shape[key], `${path}.${key}`));
}

function retrieved(body, documented) {
  const found = faults(body, item);
  if (!isDeepStrictEqual(body, documented)) {
    found.push(`the item is not the documented one: ${JSON.stringify(body)}`);
  }
  return found;
}

function listed(body, documented) {
  const found = faults(body, collection);
  if (found.length > 0) {
    return found;
  }
  if (body.count < body.results.length || (body.next === null && body.count !== body.results.length)) {
    found.push(`count is ${body.count}, with ${body.results.length} results and next ${body.next}`);
  }
  const [wanted] = documented.results;
  if (!body.results.some((result) => isDeepStrictEqual(result, wanted))) {
    found.push("the documented item is not among the results");
  }
  const dates = body.results.map((result) => result.start_date);
  if (!isDeepStrictEqual(dates, dates.toSorted().reverse())) {
    found.push(`the results are not ordered newest first: ${dates.join(", ")}`);
  }
  return found;
}

// The sent body is the seed's, with bare names, hence no JSON to compare with: what has to come back is said here.
function requested(body, _, headers) {
  const found = faults(body, item);
  if (found.length > 0) {
    return found;
  }
  const want = {
    icon: null,
    created_by: "username",
    name: "Image of 74089c18-f80a-11e3-8ef5-b2227cce2b54",
    tags: ["ESD", "BGF", "apache2", "SpliceGrapher"],
    description: "I would like to request an image of this instance for [reasons].",
    end_date: null,
    private: false,
  };
  for (const [key, value] of Object.entries(want)) {
    if (!isDeepStrictEqual(body[key], value)) {
      found.push(`body.${key} is ${JSON.stringify(body[key])}, want ${JSON.stringify(value)}`);
    }
  }
  const labels = body.versions.map((v) => `${v.version} on ${v.provider}, ends ${v.end_date}`).join("; ");
  if (labels !== "1 on 1, ends null") {
    found.push(`the versions are: ${labels}`);
  }
  if (!headers.location?.endsWith(`/image_requests/${body.id}`)) {
    found.push(`Location is ${headers.location}`);
  }
  return found;
}

const checks = new Map([
  ["Image Requests -new- > Image Request > Retrieve an Image Request", retrieved],
  ["Image Requests -new- > Image Request Collection > List all Image Requests", listed],
  ["Image Requests -new- > Image Request Collection > Request an Image", requested],
]);

// beforeAll refuses to run on a blueprint whose calls these hooks do not know: none may go unchecked.
hooks.beforeAll((transactions) => {
  const names = transactions.map((transaction) => transaction.name);
  if (!isDeepStrictEqual(names, [...checks.keys()])) {
    throw new Error(`the calls are ${names.join("; ")}`);
  }
});

hooks.afterEach((transaction) => {
  const { real, expected } = transaction;
  if (transaction.fail || !real) {
    return; // Dredd has said it already
  }
  let body;
  try {
    body = JSON.parse(real.body);
  } catch (error) {
    transaction.fail = `the body is not JSON: ${error.message}`;
    return;
  }
  const found = checks.get(transaction.name)(body, JSON.parse(expected.body), real.headers);
  if (real.headers["content-type"] !== "application/json") {
    found.push(`Content-Type is ${real.headers["content-type"]}`);
  }
  // Compact and unescaped, as the clients know it; this also finds a key that is there twice.
  if (real.body !== JSON.stringify(body)) {
    found.push("the body is not compact JSON, or has a key twice");
  }
  if (found.length > 0) {
    transaction.fail = found.join("\n");
  }
});
