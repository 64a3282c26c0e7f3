package web

// documentedRequest is the image request of the API's documentation, which the demonstration data holds under this id.
const documentedRequest = "bdc31c14-f807-11e3-8ef5-b2227cce2b54"

// draftRequest is a request of the demonstration data that is there to be decided and changed, and draftVersion its version.
const (
	draftRequest = "01980000-0000-7000-8000-000000000001"
	draftVersion = "01980000-0000-7000-8000-000000000002"
)

// Examples are the tabs that show a newcomer the life of an image request: look around, read one, ask for one, see what a
// reviewer sees, decide, watch and follow the imaging, and ask for one version more. Each can be run at once on the demonstration
// data, in this order: a decision is made on a revision, and an edit makes a new one.
func Examples() []Tab {
	return []Tab{whoAmI, oneImageRequest, requestImage, reviewQueue, decide, watch, progress, editAndAddVersion}
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

var reviewQueue = Tab{
	Query: `# What waits for a decision, the oldest first.
# Reviewers see all of it, others their own and
# what is visible to them. A decision, next tab,
# takes a version's id and its request's revision.
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
      queuePosition
      imageRequest {
        id
        revision
        name
        createdBy
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

var decide = Tab{
	Query: `# Let a version be imaged. Both variables are from
# the queue: the version's id, and the revision of
# its request, so that nobody decides on what they
# have not read. Run it twice, and the answer is
# CONFLICT: it waits no longer. denyVersion and
# questionVersion take a message, too.
mutation Decide($version: ID!, $revision: Int!) {
  approveVersion(
    input: {version: $version, revision: $revision, message: "Welcome to the catalogue."}
  ) {
    imageRequest {
      id
      revision
      status
    }
    version {
      version
      status
      decision {
        by
        at
        message
      }
    }
  }
}
`,
	Variables: `{
  "version": "` + draftVersion + `",
  "revision": 1
}`,
	User: "reviewer",
}

var watch = Tab{
	Query: `# Whatever happens to a request, as it happens: first
# what did so far, then a worker making the image. The
# last event is shown; the button stops it. With null
# in place of "" it starts now, with the cursor of an
# event after that: so a client that was cut off
# misses nothing.
subscription Watch($id: ID!, $after: String = "") {
  events(imageRequest: $id, after: $after) {
    cursor
    seq
    at
    actor
    action
    from
    to
    message
    changes {
      field
      from
      to
    }
    version {
      version
      status
      progress {
        stage
        percent
      }
    }
  }
}
`,
	Variables: `{
  "id": "` + draftRequest + `"
}`,
}

var progress = Tab{
	Query: `# How far is it? After the decision a worker makes
# the image: run this again and again. The owner
# reads what was said and done, others null.
query Progress($id: ID!) {
  imageRequest(id: $id) {
    name
    status
    history {
      at
      text
    }
    versions {
      version
      alias
      status
      queuePosition
      secondsLeft
      progress {
        stage
        percent
        attempt
        startedAt
        endedAt
        cancelRequested
        excluded
      }
      failure {
        code
        message
        retryable
      }
    }
    events(last: 10) {
      totalCount
      nodes {
        seq
        at
        actor
        action
        from
        to
        message
        changes {
          field
          from
          to
        }
      }
    }
  }
}
`,
	Variables: `{
  "id": "` + draftRequest + `"
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
    "description": "Assemblers and their data, without a desktop",
    "tags": ["biology", "Ubuntu", "Server"]
  },
  "version": {
    "imageRequest": "` + draftRequest + `",
    "instance": "` + FreshUUID + `",
    "provider": 1,
    "changeLog": "Security updates"
  }
}`,
}
