// A client of the three documented calls, typed by what openapi-typescript makes of the server's own /openapi.json
// (schema.d.ts is written beside this file in a temporary folder). It has to compile under --strict; then it is run.
import type { paths } from "./schema";

declare const process: { argv: string[]; exitCode?: number };

type Item = paths["/image_requests/{id}"]["get"]["responses"][200]["content"]["application/json"];
type Collection = paths["/image_requests"]["get"]["responses"][200]["content"]["application/json"];
type Created = paths["/image_requests"]["post"]["responses"][200]["content"]["application/json"];
type Input = NonNullable<paths["/image_requests"]["post"]["requestBody"]>["content"]["application/json"];
type Version = Item["versions"][number];

// Equal is true for exactly the same type; a missing, further, optional or wrongly nullable key makes it false.
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type Flat<T> = { [K in keyof T]: T[K] };
const documented: [
  Equal<Flat<Omit<Item, "versions">>, {
    id: string; icon: string | null; created_by: string; name: string; tags: string[]; description: string;
    start_date: string; end_date: string | null; private: boolean;
  }>,
  Equal<Flat<Version>, { alias: string; version: string; start_date: string; end_date: string | null; provider: number }>,
  Equal<Flat<Collection>, { count: number; next: string | null; previous: string | null; results: Item[] }>,
  Equal<Created, Item>,
] = [true, true, true, true];

const documentedID = "bdc31c14-f807-11e3-8ef5-b2227cce2b54";
const [, , base = "", token = ""] = process.argv;

async function call<T>(method: "GET" | "POST", path: string, body?: Input): Promise<T> {
  const response = await fetch(base + path, {
    method,
    headers: { Authorization: `Token ${token}`, "Content-Type": "application/json" },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status !== 200) {
    throw new Error(`${method} ${path}: status ${response.status}: ${text}`);
  }
  return JSON.parse(text) as T;
}

function check(holds: boolean, claim: string): void {
  if (!holds) {
    throw new Error(`not so: ${claim}`);
  }
}

async function main(): Promise<void> {
  check(documented.every(Boolean), "the types are the documented ones");

  const item = await call<Item>("GET", `/image_requests/${documentedID}`);
  check(item.id === documentedID && item.created_by === "username", "the documented item is there");

  const input: Input = {
    name: "Requested by the TypeScript client",
    instance: crypto.randomUUID(),
    provider: 1,
    description: "",
    software: "",
    exclude: "",
    tags: ["conformance"],
    vis: "private",
  };
  const created = await call<Created>("POST", "/image_requests", input);
  check(created.name === input.name && created.private, "the new item is as asked for");

  const list = await call<Collection>("GET", "/image_requests");
  check(list.results.some(({ id }) => id === created.id), "the new item is in the list");
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
