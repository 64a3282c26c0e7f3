"use strict";

// Holds schema.graphqls against graphql-schema-linter, all rules, and @graphql-eslint, its recommended and its relay
// rules. What is decided otherwise stands below, with the reason.
const { execFileSync } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const graphql = require("@graphql-eslint/eslint-plugin");
const { ESLint } = require("eslint");
const { check, suite } = require("./suite.js");

const schema = join(__dirname, "..", "schema.graphqls");

// Fields, values and inputs stand in the order in which a person reads them: id and name first, a status before its
// end, required inputs before optional ones.
const notSorted = ["type-fields", "enum-values", "input-object-fields"].map((what) => `${what}-sorted-alphabetically`);

const rules = {
  ...graphql.configs["flat/schema-recommended"].rules,
  ...graphql.configs["flat/schema-relay"].rules,
  // Types are described in blocks, fields in a line: the rule knows only one of them.
  "@graphql-eslint/description-style": "off",
  // Connections have nodes beside edges, and tags, roles and providers are plain lists.
  "@graphql-eslint/relay-edge-types": ["error", { listTypeCanWrapOnlyEdgeType: false }],
  "@graphql-eslint/strict-id-in-types": [
    "error",
    {
      exceptions: {
        suffixes: ["Connection", "Edge", "Payload"], // envelopes
        types: [
          "Provider", // its number is an Int, as the REST interface has it
          "Event", // a cursor marks its place
          "Viewer", // the caller, of whom there is one
          // parts of what has an id, or answers that are not kept
          ...["Decision", "Question", "Progress", "Failure", "FieldChange", "HistoryEntry", "PageInfo", "Lease"],
          ...["ImageRequestPreview", "Finding"],
        ],
      },
    },
  ],
};

// decided are the findings, one by one, that the design has decided otherwise: rule, its words, the line of the schema.
// Each must be found, so that none is kept for longer than needed.
const decided = [
  {
    rule: "@graphql-eslint/no-typename-prefix", // the label of a version is called as the document of the REST interface calls it
    message: 'Field "version" starts with the name of the parent type "Version"',
    line: "  version: String!",
  },
  {
    rule: "@graphql-eslint/relay-edge-types", // an event is read with its image request, not by an id of its own
    message: "Edge type's field `node` must implement `Node` interface.",
    line: "type EventEdge {",
  },
  {
    rule: "@graphql-eslint/relay-edge-types", // a token is for admins alone, who read it in its list
    message: "Edge type's field `node` must implement `Node` interface.",
    line: "type TokenEdge {",
  },
];

// schemaLinter answers the findings of graphql-schema-linter in the text.
function schemaLinter(text) {
  const linter = join(__dirname, "node_modules", ".bin", "graphql-schema-linter");
  let report;
  try {
    report = execFileSync(linter, ["--stdin", "--format", "json", "--except", notSorted.join()], { input: text, stdio: "pipe" });
  } catch (error) {
    if (error.status !== 1) {
      throw error;
    }
    report = error.stdout; // status 1 tells that there are findings
  }
  return JSON.parse(report).errors.map(({ rule, message, location }) => ({ rule, message, at: location.line }));
}

async function eslint(text) {
  const linter = new ESLint({
    cwd: join(__dirname, ".."),
    overrideConfigFile: true,
    overrideConfig: [
      {
        files: ["**/*.graphqls"],
        plugins: { "@graphql-eslint": graphql },
        languageOptions: { parser: graphql.parser, parserOptions: { graphQLConfig: { schema: text } } },
        rules,
      },
    ],
  });
  const [{ messages }] = await linter.lintText(text, { filePath: schema });
  return messages.map(({ ruleId, message, line }) => ({ rule: ruleId, message, at: line }));
}

const lint = async (text) => [...schemaLinter(text), ...(await eslint(text))];

suite(async () => {
  const text = readFileSync(schema, "utf8");
  const lines = text.split("\n");
  const isDecided = (one) => (found) =>
    found.rule === one.rule && found.message === one.message && lines[found.at - 1] === one.line;

  const findings = await lint(text);
  for (const one of decided) {
    check(findings.filter(isDecided(one)).length === 1, `${one.rule} finds "${one.line.trim()}", as was decided`);
  }
  const open = findings.filter((found) => !decided.some((one) => isDecided(one)(found)));
  for (const { rule, message, at } of open) {
    console.log(`schema.graphqls:${at}: ${message} (${rule})`);
  }
  check(open.length === 0, `the linters find nothing, but they find ${open.length}`);

  // The judges are awake: a field that lacks its description and has a bad name is found by both.
  const spoilt = text.replace("type Lease {", "type Lease {\n  bad_name: String");
  const found = (await lint(spoilt)).map(({ rule }) => rule);
  for (const rule of ["fields-have-descriptions", "@graphql-eslint/naming-convention"]) {
    check(found.includes(rule), `${rule} finds what is wrong`);
  }
  return `0 findings of graphql-schema-linter and of @graphql-eslint, recommended and relay; ${decided.length} decided otherwise`;
});
