"use strict";

// Compares schema.graphqls with released.graphqls, the schema of the last release, by graphql-inspector. What breaks a
// client fails; what may surprise one is told, and passes.
//
// A field, argument or value may go once a release has told that it is deprecated.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { buildSchema } = require("graphql");
const { CriticalityLevel, DiffRule, diff } = require("@graphql-inspector/core");
const { check, suite } = require("./suite.js");

const released = readFileSync(join(__dirname, "released.graphqls"), "utf8");
const current = readFileSync(join(__dirname, "..", "schema.graphqls"), "utf8");

async function changes(before, after) {
  const all = await diff(buildSchema(before), buildSchema(after), [DiffRule.suppressRemovalOfDeprecatedField]);
  return (level) => all.filter(({ criticality }) => criticality.level === level);
}

suite(async () => {
  const of = await changes(released, current);
  const breaking = of(CriticalityLevel.Breaking);
  const dangerous = of(CriticalityLevel.Dangerous);
  for (const { criticality, message } of [...breaking, ...dangerous]) {
    console.log(`${criticality.level}: ${message}`);
  }
  check(breaking.length === 0, "no client of the last release breaks");

  // The judge is awake: it sees a field go.
  const spoilt = await changes(current, current.replace(/\n {2}"Its name, unique\."\n {2}name: String!/, ""));
  check(spoilt(CriticalityLevel.Breaking).length === 1, "a field that goes is a breaking change");

  const safe = of(CriticalityLevel.NonBreaking).length;
  return `0 breaking changes since the last release, ${dangerous.length} dangerous, ${safe} others`;
});
