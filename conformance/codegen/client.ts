// A client whose types graphql-codegen has made: it compiles only if the schema is what the operations below count on,
// and it works only if the server answers what the types promise.
//
//   node client.js BASE TOKEN [by-hash]
import type { TypedDocumentNode } from "@graphql-typed-document-node/core";
import { graphql, useFragment } from "./gql";
import manifest from "./gql/persisted-documents.json";
import type { ImageRequestFilter, Status, Visibility } from "./types";

const VersionFields = graphql(`
  fragment VersionFields on Version {
    version
    status
    startDate
    progress {
      percent
    }
  }
`);

const ListRequests = graphql(`
  query ListRequests($first: Int!, $filter: ImageRequestFilter) {
    imageRequests(first: $first, filter: $filter, orderBy: { field: NAME, direction: ASC }) {
      totalCount
      nodes {
        id
        name
        endDate
        visibility
        versions {
          ...VersionFields
        }
      }
    }
  }
`);

const RequestImage = graphql(`
  mutation RequestImage($input: RequestImageInput!) {
    requestImage(input: $input) {
      imageRequest {
        id
        status
        tags
      }
    }
  }
`);

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Result<D> = D extends TypedDocumentNode<infer R, infer _> ? R : never;
type Listed = Result<typeof ListRequests>["imageRequests"]["nodes"][number];

// These lines compile only if the generated types are those of the design.
const designed: [
  Equal<Visibility, "PUBLIC" | "PRIVATE" | "USERS">,
  Equal<Extract<Status, "PENDING" | "COMPLETED">, "PENDING" | "COMPLETED">,
  Equal<Listed["id"], string>,
  Equal<Listed["name"], string>,
  Equal<Listed["endDate"], string | null | undefined>,
  Equal<Listed["visibility"], Visibility>,
] = [true, true, true, true, true, true];

const [, , base = "", token = "", how = ""] = process.argv;

// run sends the document as it stands in the manifest under the hash that the client preset gave it, or the hash alone.
async function run<R, V>(document: TypedDocumentNode<R, V>, variables: V): Promise<R> {
  const hash = (document as { __meta__?: { hash?: string } }).__meta__?.hash ?? "";
  const query = (manifest as Record<string, string>)[hash];
  check(query !== undefined && (await sha256(query)) === hash, "the manifest has the document under its hash");
  const response = await fetch(`${base}/graphql`, {
    method: "POST",
    headers: {
      Authorization: `Token ${token}`,
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json",
    },
    body: JSON.stringify({
      query: how === "by-hash" ? undefined : query,
      variables,
      extensions: { persistedQuery: { version: 1, sha256Hash: hash } },
    }),
  });
  const result = await response.json();
  if (response.status !== 200 || result.errors) {
    throw new Error(`status ${response.status}: ${JSON.stringify(result)}`);
  }
  return result.data as R;
}

async function sha256(text: string): Promise<string> {
  const sum = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(sum), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function check(holds: boolean, claim: string): void {
  if (!holds) {
    throw new Error(`not so: ${claim}`);
  }
}

async function main(): Promise<void> {
  check(designed.every(Boolean), "the types are those of the design");
  const tag = crypto.randomUUID();
  const { requestImage } = await run(RequestImage, {
    input: { name: "By graphql-codegen", instance: crypto.randomUUID(), provider: 1, visibility: "PRIVATE", tags: [tag] },
  });
  check(requestImage.imageRequest.tags[0] === tag, "the new request is as asked for");

  const filter: ImageRequestFilter = { tags: [tag] };
  const { imageRequests } = await run(ListRequests, { first: 5, filter });
  check(imageRequests.totalCount === 1 && imageRequests.nodes[0]?.id === requestImage.imageRequest.id, "the filter finds it");
  const version = useFragment(VersionFields, imageRequests.nodes[0]?.versions[0]);
  check(version?.version === "1" && !Number.isNaN(Date.parse(version.startDate)), "its version is read through the fragment");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
