package web

// documentedRequest is the image request of the API's documentation, which the demonstration data holds under this id.
const documentedRequest = "bdc31c14-f807-11e3-8ef5-b2227cce2b54"

// draftRequest is a request of the demonstration data that is there to be changed.
const draftRequest = "01980000-0000-7000-8000-000000000001"

// Examples are the tabs that show a newcomer the life of an image request: look around, read one, ask for one, add to
// it, and see what a reviewer sees. Each can be run at once on the demonstration data.
func Examples() []Tab {
	return []Tab{whoAmI, oneImageRequest, requestImage, editAndAddVersion, reviewQueue}
}

var whoAmI = Tab{Query: `# Welcome. Ctrl-Enter or the button runs this.
# Headers, below: how a request is signed in.
# The book on the left explains every type.
query WhoAmI {
  viewer {
    username
    roles
  }
  imageRequests(first: 10) {
    totalCount
    nodes {
      id
      name
      createdBy
      visibility
      status
      startDate
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`}

var oneImageRequest = Tab{
	Query: `# One image request with all its versions.
# Try it as nobody, too: sharedWith is for the
# owner and staff, and null for all others.
query OneImageRequest($id: ID!) {
  imageRequest(id: $id) {
    name
    description
    tags
    createdBy
    visibility
    sharedWith
    revision
    versions {
      version
      alias
      status
      changeLog
      instance
      startDate
      endDate
      provider {
        id
        name
      }
    }
  }
}
`,
	Variables: `{
  "id": "` + documentedRequest + `"
}`,
}

var requestImage = Tab{
	Query: `# Ask for an image of an instance. Variables, below,
# names a new instance whenever the page is loaded.
# Run it twice, and the answer is CONFLICT: the
# instance already has an open version.
mutation RequestImage($input: RequestImageInput!) {
  requestImage(input: $input) {
    imageRequest {
      id
      name
      revision
      visibility
      sharedWith
    }
    version {
      id
      version
      status
      excludePaths
    }
  }
}
`,
	Variables: `{
  "input": {
    "name": "Ubuntu with our tools",
    "instance": "` + FreshUUID + `",
    "provider": 1,
    "description": "The base image of our group",
    "software": "R 4.3 under /opt/R",
    "exclude": "/home/*/.ssh\n/root/.bash_history",
    "tags": ["Ubuntu", "R"],
    "visibility": "USERS",
    "sharedWith": ["reviewer"]
  }
}`,
}

var editAndAddVersion = Tab{
	Query: `# Two changes, made in this order: describe the
# image anew, and ask for one more version of it.
mutation EditAndAddVersion($edit: EditImageRequestInput!, $version: RequestVersionInput!) {
  editImageRequest(input: $edit) {
    imageRequest {
      revision
      description
      tags
    }
  }
  requestVersion(input: $version) {
    imageRequest {
      revision
      status
    }
    version {
      id
      version
      status
      changeLog
    }
  }
}
`,
	Variables: `{
  "edit": {
    "imageRequest": "` + draftRequest + `",
    "description": "Ubuntu 12.04 with all updates, without a desktop",
    "tags": ["Ubuntu", "Featured", "Server"]
  },
  "version": {
    "imageRequest": "` + draftRequest + `",
    "instance": "` + FreshUUID + `",
    "provider": 1,
    "changeLog": "Security updates"
  }
}`,
}

var reviewQueue = Tab{
	Query: `# What waits for a decision, the oldest first.
# Reviewers see all of it, others their own and
# what is visible to them.
query ReviewQueue($first: Int = 20, $after: String) {
  versions(
    first: $first
    after: $after
    filter: {status: [PENDING]}
    orderBy: {field: START_DATE, direction: ASC}
  ) {
    totalCount
    nodes {
      id
      version
      startDate
      instance
      software
      sys
      exclude
      imageRequest {
        id
        name
        createdBy
        revision
      }
      provider {
        name
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
	Variables: `{
  "first": 20
}`,
	User: "reviewer",
}
