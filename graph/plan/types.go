package plan

import (
	"github.com/vektah/gqlparser/v2/ast"

	"imagerequests/db"
	"imagerequests/imaging"
)

// known are the types of the schema that plans can write, with the fields of each. A field that is not here has a resolver
// that asks the database for itself, and is gqlgen's: a test knows which.
var known = newTypes()

type types struct {
	roots map[string]root

	request  *kind[*imaging.ImageRequest]
	version  *kind[*imaging.Version]
	provider *kind[*imaging.Provider]
	decision *kind[*imaging.Decision]
	question *kind[*imaging.Inquiry]
	progress *kind[*imaging.Progress]
	failure  *kind[*imaging.Failure]
	page     *kind[*db.PageInfo]

	requests    *kind[*db.ImageRequestConnection]
	requestEdge *kind[*db.ImageRequestEdge]
	versions    *kind[*db.VersionConnection]
	versionEdge *kind[*db.VersionEdge]
}

// ofRequest and ofVersion are columns of the two tables.
func ofRequest(columns ...string) needs { return needs{request: columns} }
func ofVersion(columns ...string) needs { return needs{version: columns} }

func newTypes() *types {
	t := &types{
		request: &kind[*imaging.ImageRequest]{names: []string{"ImageRequest", "Node"}, needs: ofRequest("id")},
		version: &kind[*imaging.Version]{names: []string{"Version", "Node"}, needs: ofVersion("ordinal")},
	}
	t.provider = &kind[*imaging.Provider]{names: []string{"Provider"}, fields: providerFields()}
	t.decision = &kind[*imaging.Decision]{names: []string{"Decision"}, needs: ofVersion("decided_at"), fields: decisionFields()}
	t.question = &kind[*imaging.Inquiry]{names: []string{"Question"}, needs: ofVersion("questioned_at"), fields: questionFields()}
	t.progress = &kind[*imaging.Progress]{names: []string{"Progress"}, needs: ofVersion("imaging_started"), fields: progressFields()}
	t.failure = &kind[*imaging.Failure]{names: []string{"Failure"}, needs: ofVersion("failure_code"), fields: failureFields()}
	t.page = &kind[*db.PageInfo]{names: []string{"PageInfo"}, fields: pageFields()}
	t.request.fields = t.requestFields()
	t.version.fields = t.versionFields()
	t.requestEdge = edge("ImageRequestEdge", t.request)
	t.requests = connection("ImageRequestConnection", t.page, t.requestEdge, t.request)
	t.versionEdge = edge("VersionEdge", t.version)
	t.versions = connection("VersionConnection", t.page, t.versionEdge, t.version)
	t.roots = map[string]root{
		"imageRequest":  rootOf(t.request),
		"imageRequests": rootOf(t.requests),
		"version":       rootOf(t.version),
		"versions":      rootOf(t.versions),
		"node":          t.node,
		"nodes":         t.nodes,
	}
	return t
}

func (t *types) requestFields() map[string]field[*imaging.ImageRequest] {
	type R = *imaging.ImageRequest
	return map[string]field[R]{
		"id":          leaf(ofRequest("id"), func(o *out, r R) { o.id(r.ID) }),
		"name":        leaf(ofRequest("name"), func(o *out, r R) { o.text(r.Name) }),
		"icon":        leaf(ofRequest("icon"), func(o *out, r R) { o.textIf(r.Icon) }),
		"description": leaf(ofRequest("description"), func(o *out, r R) { o.text(r.Description) }),
		"tags":        leaf(ofRequest("tags"), func(o *out, r R) { o.texts(r.Tags) }),
		"createdBy":   leaf(ofRequest("created_by"), func(o *out, r R) { o.text(r.CreatedBy) }),
		"visibility":  leaf(ofRequest("visibility"), func(o *out, r R) { o.text(string(r.Visibility)) }),
		"sharedWith":  leaf(ofRequest("shared_with"), func(o *out, r R) { o.textsIf(r.SharedWith) }),
		"startDate":   leaf(ofRequest("start_date"), func(o *out, r R) { o.time(r.StartDate) }),
		"endDate":     leaf(ofRequest("end_date"), func(o *out, r R) { o.timeIf(r.EndDate) }),
		"revision":    leaf(ofRequest("revision"), func(o *out, r R) { o.int(r.Revision) }),
		"status":      leaf(ofRequest("status"), func(o *out, r R) { o.text(string(r.Status)) }),
		"instance":    leaf(ofRequest("instance"), func(o *out, r R) { o.id(r.Instance) }),
		"provider":    one(ofVersion("provider_id"), t.provider, false, R.Provider),
		"software":    leaf(ofVersion("software"), func(o *out, r R) { o.text(r.Software()) }),
		"sys":         leaf(ofVersion("sys"), func(o *out, r R) { o.textIf(r.Sys()) }),
		"exclude":     leaf(ofVersion("exclude"), func(o *out, r R) { o.textIf(r.Exclude()) }),
		"versions":    many(needs{}, t.version, func(r R) []*imaging.Version { return r.Versions }, same),
	}
}

func (t *types) versionFields() map[string]field[*imaging.Version] {
	type V = *imaging.Version
	return map[string]field[V]{
		"id":           leaf(ofVersion("id"), func(o *out, v V) { o.id(v.ID) }),
		"alias":        leaf(ofVersion("alias"), func(o *out, v V) { o.text(v.Alias) }),
		"version":      leaf(ofVersion("version"), func(o *out, v V) { o.text(v.Version) }),
		"changeLog":    leaf(ofVersion("change_log"), func(o *out, v V) { o.text(v.ChangeLog) }),
		"instance":     leaf(ofVersion("instance"), func(o *out, v V) { o.id(v.Instance) }),
		"ipAddress":    leaf(ofVersion("ip_address"), func(o *out, v V) { o.textIf(v.IPAddress) }),
		"provider":     one(ofVersion("provider_id"), t.provider, false, func(v V) *imaging.Provider { return v.Provider }),
		"software":     leaf(ofVersion("software"), func(o *out, v V) { o.text(v.Software) }),
		"sys":          leaf(ofVersion("sys"), func(o *out, v V) { o.textIf(v.Sys) }),
		"exclude":      leaf(ofVersion("exclude"), func(o *out, v V) { o.textIf(v.Exclude) }),
		"excludePaths": leaf(ofVersion("exclude"), func(o *out, v V) { o.textsIf(v.ExcludePaths()) }),
		"requestedBy":  leaf(ofVersion("requested_by"), func(o *out, v V) { o.text(v.RequestedBy) }),
		"startDate":    leaf(ofVersion("start_date"), func(o *out, v V) { o.time(v.StartDate) }),
		"endDate":      leaf(ofVersion("end_date"), func(o *out, v V) { o.timeIf(v.EndDate) }),
		"status":       leaf(ofVersion("status"), func(o *out, v V) { o.text(string(v.Status)) }),
		"decision":     one(needs{}, t.decision, true, V.Decision),
		"question":     one(needs{}, t.question, true, V.Question),
		"progress":     one(needs{}, t.progress, true, V.Progress),
		"failure":      one(needs{}, t.failure, true, V.Failure),
		"imageRequest": one(needs{}, t.request, false, func(v V) *imaging.ImageRequest { return v.ImageRequest }),
	}
}

func providerFields() map[string]field[*imaging.Provider] {
	type P = *imaging.Provider
	more := needs{provider: true}
	return map[string]field[P]{
		"id":          leaf(needs{}, func(o *out, p P) { o.int(p.ID) }),
		"name":        leaf(more, func(o *out, p P) { o.text(p.Name) }),
		"active":      leaf(more, func(o *out, p P) { o.bool(p.Active) }),
		"autoApprove": leaf(more, func(o *out, p P) { o.bool(p.AutoApprove) }),
	}
}

func decisionFields() map[string]field[*imaging.Decision] {
	type D = *imaging.Decision
	return map[string]field[D]{
		"by":      leaf(ofVersion("decided_by"), func(o *out, d D) { o.textIf(d.By) }),
		"at":      leaf(ofVersion("decided_at"), func(o *out, d D) { o.time(d.At) }),
		"message": leaf(ofVersion("decision"), func(o *out, d D) { o.textIf(d.Message) }),
	}
}

func questionFields() map[string]field[*imaging.Inquiry] {
	type Q = *imaging.Inquiry
	return map[string]field[Q]{
		"by":         leaf(ofVersion("questioned_by"), func(o *out, q Q) { o.text(q.By) }),
		"at":         leaf(ofVersion("questioned_at"), func(o *out, q Q) { o.time(q.At) }),
		"message":    leaf(ofVersion("question"), func(o *out, q Q) { o.text(q.Message) }),
		"answer":     leaf(ofVersion("answer"), func(o *out, q Q) { o.textIf(q.Answer) }),
		"answeredAt": leaf(ofVersion("answered_at"), func(o *out, q Q) { o.timeIf(q.AnsweredAt) }),
	}
}

func progressFields() map[string]field[*imaging.Progress] {
	type P = *imaging.Progress
	return map[string]field[P]{
		"stage":           leaf(ofVersion("stage"), func(o *out, p P) { o.textIf(p.Stage) }),
		"percent":         leaf(ofVersion("percent"), func(o *out, p P) { o.intIf(p.Percent) }),
		"attempt":         leaf(ofVersion("attempt"), func(o *out, p P) { o.int(p.Attempt) }),
		"startedAt":       leaf(ofVersion("imaging_started"), func(o *out, p P) { o.time(p.StartedAt) }),
		"endedAt":         leaf(ofVersion("imaging_ended"), func(o *out, p P) { o.timeIf(p.EndedAt) }),
		"cancelRequested": leaf(ofVersion("cancel_requested"), func(o *out, p P) { o.bool(p.CancelRequested) }),
		"excluded":        leaf(ofVersion("excluded"), func(o *out, p P) { o.textsIf(p.Excluded) }),
	}
}

func failureFields() map[string]field[*imaging.Failure] {
	type F = *imaging.Failure
	return map[string]field[F]{
		"code":      leaf(ofVersion("failure_code"), func(o *out, f F) { o.text(f.Code) }),
		"message":   leaf(ofVersion("failure_message"), func(o *out, f F) { o.text(f.Message) }),
		"detail":    leaf(ofVersion("failure_detail"), func(o *out, f F) { o.textIf(f.Detail) }),
		"retryable": leaf(ofVersion("failure_retryable"), func(o *out, f F) { o.bool(f.Retryable) }),
	}
}

func pageFields() map[string]field[*db.PageInfo] {
	type P = *db.PageInfo
	return map[string]field[P]{
		"hasNextPage":     leaf(needs{}, func(o *out, p P) { o.truth(p.HasNextPage(o.ctx)) }),
		"hasPreviousPage": leaf(needs{}, func(o *out, p P) { o.truth(p.HasPreviousPage(o.ctx)) }),
		"startCursor":     leaf(needs{}, func(o *out, p P) { o.textIf(p.StartCursor()) }),
		"endCursor":       leaf(needs{}, func(o *out, p P) { o.textIf(p.EndCursor()) }),
	}
}

func edge[U any](name string, node *kind[*U]) *kind[*db.Edge[*U]] {
	type E = *db.Edge[*U]
	return &kind[E]{names: []string{name}, fields: map[string]field[E]{
		"cursor": leaf(needs{}, func(o *out, e E) { o.text(e.Cursor()) }),
		"node":   one(needs{}, node, false, func(e E) *U { return e.Node }),
	}}
}

func connection[U any](name string, page *kind[*db.PageInfo], edge *kind[*db.Edge[*U]], node *kind[*U]) *kind[*db.Connection[*U]] {
	type C = *db.Connection[*U]
	type E = *db.Edge[*U]
	edges := func(c C) []E { return c.Edges }
	return &kind[C]{names: []string{name}, needs: node.needs, fields: map[string]field[C]{
		"edges":      many(needs{}, edge, edges, same),
		"nodes":      many(needs{}, node, edges, func(e E) *U { return e.Node }),
		"pageInfo":   one(needs{}, page, false, func(c C) *db.PageInfo { return c.PageInfo }),
		"totalCount": leaf(needs{}, func(o *out, c C) { o.number(c.TotalCount(o.ctx)) }),
	}}
}

// root compiles how the value that the resolver of a root field answers is written; nil if that is not known.
type root func(c *compiler, selections ast.SelectionSet) func(o *out, value any)

func rootOf[U any](k *kind[*U]) root {
	return func(c *compiler, selections ast.SelectionSet) func(*out, any) {
		w := object(c, k, selections)
		if w == nil {
			return nil
		}
		return func(o *out, value any) {
			if u, ok := value.(*U); ok && u != nil {
				w(o, u)
			} else {
				o.missing()
			}
		}
	}
}

// node is an image request or a version: each has the fields of the selection that are for its type.
func (t *types) node(c *compiler, selections ast.SelectionSet) func(o *out, value any) {
	request, version := object(c, t.request, selections), object(c, t.version, selections)
	if request == nil || version == nil {
		return nil
	}
	return func(o *out, value any) {
		switch n := value.(type) {
		case *imaging.ImageRequest:
			request(o, n)
		case *imaging.Version:
			version(o, n)
		default:
			o.null()
		}
	}
}

func (t *types) nodes(c *compiler, selections ast.SelectionSet) func(o *out, value any) {
	w := t.node(c, selections)
	if w == nil {
		return nil
	}
	return func(o *out, value any) {
		nodes, ok := value.([]imaging.Node)
		if !ok {
			o.missing()
			return
		}
		o.b = append(o.b, '[')
		for i, n := range nodes {
			if i > 0 {
				o.b = append(o.b, ',')
			}
			w(o, n)
		}
		o.b = append(o.b, ']')
	}
}
