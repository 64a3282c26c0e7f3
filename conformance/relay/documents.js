// What relay-compiler compiles: a list with @connection, its next page and a single request by @refetchable. A component
// would hold these texts; ./page.js needs only what is compiled from them.
import { graphql } from "relay-runtime";

graphql`
  query documentsListQuery($first: Int!, $filter: ImageRequestFilter) {
    ...documents_list @arguments(first: $first, filter: $filter)
  }
`;

graphql`
  fragment documents_list on Query
  @argumentDefinitions(first: { type: "Int!" }, after: { type: "String" }, filter: { type: "ImageRequestFilter" })
  @refetchable(queryName: "documentsPageQuery") {
    imageRequests(first: $first, after: $after, filter: $filter) @connection(key: "documents_imageRequests") {
      edges {
        node {
          id
          name
          ...documents_request
        }
      }
    }
  }
`;

graphql`
  fragment documents_request on ImageRequest @refetchable(queryName: "documentsRequestQuery") {
    description
    revision
    versions {
      version
      status
    }
  }
`;
