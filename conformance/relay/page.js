"use strict";

// Pages through a list as Relay does: the first page; the next one by the query that relay-compiler made of the
// refetchable fragment, both joined in one connection of the store; one request fetched again by node(id:).
//
//   node page.js BASE TOKEN ARTIFACTS        the folder that relay-compiler wrote for documents.js
const { join } = require("node:path");
const {
  Environment,
  Network,
  RecordSource,
  Store,
  createOperationDescriptor,
  fetchQuery,
  getPaginationMetadata,
  getPaginationVariables,
  getRefetchMetadata,
  getSelector,
} = require("relay-runtime");
const { check, graphql, requestImages, suite } = require("../suite.js");

const [, , base, token, artifacts] = process.argv;
const ListQuery = require(join(artifacts, "documentsListQuery.graphql.js"));
const list = require(join(artifacts, "documents_list.graphql.js"));
const request = require(join(artifacts, "documents_request.graphql.js"));

const COUNT = 5; // requests, read in pages of two

const environment = new Environment({
  store: new Store(new RecordSource()),
  network: Network.create(async ({ text }, variables) => {
    const response = await fetch(`${base}/graphql`, {
      method: "POST",
      headers: { Authorization: `Token ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ query: text, variables }),
    });
    return response.json();
  }),
});

// read answers what a component with this fragment would be given.
const read = (fragment, reference) => environment.lookup(getSelector(fragment, reference)).data;

suite(async () => {
  const tag = `relay ${crypto.randomUUID()}`;
  const made = await requestImages(base, token, COUNT, tag);

  const variables = { first: 2, filter: { tags: [tag] } };
  const operation = createOperationDescriptor(ListQuery, variables);
  environment.retain(operation);
  await fetchQuery(environment, ListQuery, variables).toPromise();
  const root = environment.lookup(operation.fragment).data;

  const { paginationMetadata, paginationRequest } = getPaginationMetadata(list, "page.js");
  let pages = 1;
  for (let page = read(list, root).imageRequests; page.pageInfo.hasNextPage; page = read(list, root).imageRequests) {
    check(page.edges.length === 2 * pages, `${pages} pages have ${2 * pages} requests`);
    const next = getPaginationVariables("forward", 2, page.pageInfo.endCursor, variables, {}, paginationMetadata);
    await fetchQuery(environment, paginationRequest, next).toPromise();
    check(++pages <= COUNT, "the list comes to its end");
  }
  const nodes = read(list, root).imageRequests.edges.map(({ node }) => node);
  const newestFirst = made.map(({ id }) => id).reverse();
  check(nodes.map(({ id }) => id).join() === newestFirst.join(), `the store joined all ${COUNT} requests, newest first`);

  const [node] = nodes;
  const description = `Described anew ${crypto.randomUUID()}`;
  check(read(request, node).description === "", "the request has no description yet");
  await graphql(
    base,
    token,
    `mutation EditImageRequest($input: EditImageRequestInput!) { editImageRequest(input: $input) { imageRequest { id } } }`,
    { input: { imageRequest: node.id, description } },
  );
  const { refetchableRequest, identifierInfo } = getRefetchMetadata(request, "page.js");
  await fetchQuery(environment, refetchableRequest, { [identifierInfo.identifierQueryVariableName]: node.id }).toPromise();
  const again = read(request, node);
  check(again.description === description && again.revision === 2, "node(id:) brings the change");
  return `relay-compiler compiles @connection and @refetchable; ${pages} pages joined, one request fetched again by node(id:)`;
});
