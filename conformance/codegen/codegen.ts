// What graphql-codegen makes of the schema that the running server tells by introspection: its types, and by the client
// preset a typed document for each operation, with a manifest of persisted documents.
import type { CodegenConfig } from "@graphql-codegen/cli";

const scalars = { DateTime: "string" };

const config: CodegenConfig = {
  schema: process.env.ENDPOINT,
  documents: ["client.ts"],
  generates: {
    "types.ts": { plugins: ["typescript"], config: { scalars, strictScalars: true, enumsAsTypes: true } },
    "gql/": {
      preset: "client",
      presetConfig: { persistedDocuments: { hashAlgorithm: "sha256" } },
      config: { scalars, strictScalars: true, enumsAsTypes: true },
    },
  },
};

export default config;
