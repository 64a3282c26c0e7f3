"use strict";

// Runs a query, a mutation and an error through urql. Its queries go by GET as long as their address is short.
//
//   node urql.js BASE TOKEN
const { Client, cacheExchange, fetchExchange, gql } = require("@urql/core");
const { check, suite } = require("./suite.js");

const [, , base, token] = process.argv;

const RequestImage = gql`
  mutation RequestImage($input: RequestImageInput!) {
    requestImage(input: $input) {
      imageRequest {
        id
        name
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

suite(async () => {
  const methods = [];
  const client = new Client({
    url: `${base}/graphql`,
    exchanges: [cacheExchange, fetchExchange],
    fetchOptions: { headers: { Authorization: `Token ${token}` } },
    fetch(url, init) {
      methods.push(init.method);
      return fetch(url, init);
    },
  });

  const input = { name: "Requested by urql", instance: crypto.randomUUID(), provider: 1, visibility: "PRIVATE" };
  const made = await client.mutation(RequestImage, { input });
  check(made.data?.requestImage.imageRequest.name === input.name, `the mutation answers data: ${made.error}`);
  const { id } = made.data.requestImage.imageRequest;

  const read = await client.query(OneRequest, { id });
  check(read.data?.imageRequest.name === input.name, `the query answers data: ${read.error}`);
  check(methods.join() === "POST,GET", `the mutation goes by POST and the query by GET, not ${methods}`);

  // The cache knows by __typename that the query is no longer good, and asks again.
  const edited = await client.mutation(EditImageRequest, { input: { imageRequest: id, name: "Renamed by urql" } });
  check(edited.data?.editImageRequest.imageRequest.name === "Renamed by urql", `the edit answers data: ${edited.error}`);
  const again = await client.query(OneRequest, { id });
  check(again.data?.imageRequest.name === "Renamed by urql", "the query after the mutation reads the new name");

  const lost = await client.query(OneRequest, { id: crypto.randomUUID() });
  const [refused] = lost.error?.graphQLErrors ?? [];
  check(refused?.extensions.code === "NOT_FOUND" && refused.path.join() === "imageRequest", "what is not there is NOT_FOUND");
  check(lost.data?.imageRequest === null, "beside the error there is data");

  const twice = await client.mutation(RequestImage, { input });
  check(twice.error?.graphQLErrors[0]?.extensions.code === "CONFLICT", "an instance with an open version is CONFLICT");
  return "a query by GET, mutations that renew it, and the codes of errors";
});
