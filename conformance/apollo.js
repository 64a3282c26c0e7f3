"use strict";

// Uses Apollo Client as a frontend would: relayStylePagination joins the pages of a list, a mutation's answer renews what
// a watched query shows, errors arrive with their codes, and automatic persisted queries are learned by the server.
//
//   node apollo.js BASE TOKEN
const { createHash } = require("node:crypto");
const { ApolloClient, CombinedGraphQLErrors, HttpLink, InMemoryCache, gql } = require("@apollo/client");
const { PersistedQueryLink } = require("@apollo/client/link/persisted-queries");
const { relayStylePagination } = require("@apollo/client/utilities");
const { check, poll, requestImages, suite } = require("./suite.js");

const [, , base, token] = process.argv;
const COUNT = 5; // requests, read in pages of two

const ListRequests = gql`
  query ListRequests($first: Int!, $after: String, $filter: ImageRequestFilter) {
    imageRequests(first: $first, after: $after, filter: $filter) {
      edges {
        cursor
        node {
          id
          name
        }
      }
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
    }
  }
`;

const EditImageRequest = gql`
  mutation EditImageRequest($input: EditImageRequestInput!) {
    editImageRequest(input: $input) {
      imageRequest {
        id
        name
      }
    }
  }
`;

const OneRequest = gql`
  query OneRequest($id: ID!) {
    imageRequest(id: $id) {
      id
      name
    }
  }
`;

// connect makes a client whose calls are noted in sent.
function connect({ persisted = false } = {}) {
  const sent = [];
  const http = new HttpLink({
    uri: `${base}/graphql`,
    headers: { Authorization: `Token ${token}` },
    async fetch(url, init) {
      const response = await fetch(url, init);
      const withQuery = init.body ? "query" in JSON.parse(init.body) : new URL(url).searchParams.has("query");
      sent.push({ method: init.method, withQuery });
      return response;
    },
  });
  const sha256 = (text) => createHash("sha256").update(text).digest("hex");
  const link = persisted ? new PersistedQueryLink({ sha256, useGETForHashedQueries: true }).concat(http) : http;
  const imageRequests = relayStylePagination(["filter", "orderBy"]);
  const cache = new InMemoryCache({ typePolicies: { Query: { fields: { imageRequests } } } });
  return { client: new ApolloClient({ link, cache }), sent };
}

// refusal is the first error of an operation that must not succeed.
async function refusal(operation) {
  const error = await operation.then(() => undefined, (error) => error);
  check(CombinedGraphQLErrors.is(error), `the operation is refused with GraphQL errors, not ${error}`);
  return error.errors[0];
}

async function pageAndEdit() {
  const { client } = connect();
  const tag = `apollo ${crypto.randomUUID()}`;
  const made = await requestImages(base, token, COUNT, tag);
  const list = client.watchQuery({ query: ListRequests, variables: { first: 2, filter: { tags: [tag] } } });
  let shown; // the connection, as a component would be given it
  const watching = list.subscribe(({ data, loading }) => loading || (shown = data.imageRequests));
  let pages = 0;
  do {
    const before = shown?.edges.length ?? 0;
    if (before > 0) {
      await list.fetchMore({ variables: { after: shown.pageInfo.endCursor } });
    }
    await poll("one more page is shown", () => shown?.edges.length > before);
    pages++;
  } while (shown.pageInfo.hasNextPage);
  const ids = shown.edges.map(({ node }) => node.id);
  const newestFirst = made.map(({ id }) => id).reverse();
  check(ids.join() === newestFirst.join(), `${pages} pages join to all ${COUNT} requests, newest first`);

  const input = { imageRequest: ids[0], name: "Renamed by Apollo Client" };
  await client.mutate({ mutation: EditImageRequest, variables: { input } });
  await poll("the list shows the new name", () => shown.edges[0].node.name === input.name);
  watching.unsubscribe();
  return pages;
}

async function errors() {
  const { client } = connect();
  const lost = await refusal(client.query({ query: OneRequest, variables: { id: crypto.randomUUID() } }));
  check(lost.extensions.code === "NOT_FOUND" && lost.path.join() === "imageRequest", "what is not there is NOT_FOUND");
  const input = { imageRequest: (await requestImages(base, token, 1, "apollo"))[0].id, name: "" };
  const invalid = await refusal(client.mutate({ mutation: EditImageRequest, variables: { input } }));
  check(invalid.extensions.code === "INVALID" && invalid.extensions.field === "name", "an empty name is INVALID, with the field");
}

// persistedQueries shows that a query's text is sent once, and its hash alone by every client thereafter.
async function persistedQueries() {
  const variables = { first: 1 };
  for (const known of [false, true]) {
    const { client, sent } = connect({ persisted: true });
    const { data } = await client.query({ query: ListRequests, variables });
    check(data.imageRequests.edges.length === 1, "the query is answered");
    check(sent[0].method === "GET" && !sent[0].withQuery, `the hash alone is sent by GET: ${JSON.stringify(sent)}`);
    check(sent.length === (known ? 1 : 2), `the server ${known ? "knows" : "learns"} the query: ${JSON.stringify(sent)}`);
  }
}

suite(async () => {
  const pages = await pageAndEdit();
  await errors();
  await persistedQueries();
  return `relayStylePagination joins ${pages} pages, a mutation renews the list, errors have codes, queries persist`;
});
