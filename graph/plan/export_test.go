package plan

import (
	"maps"

	"imagerequests/render"
)

// Fields are the types that plans can write, with the fields of each.
func Fields() map[string][]string {
	all := map[string][]string{}
	add(all, known.request)
	add(all, known.version)
	add(all, known.provider)
	add(all, known.decision)
	add(all, known.question)
	add(all, known.progress)
	add(all, known.failure)
	add(all, known.page)
	add(all, known.requests)
	add(all, known.requestEdge)
	add(all, known.versions)
	add(all, known.versionEdge)
	for name := range maps.Keys(known.roots) {
		all["Query"] = append(all["Query"], name)
	}
	return all
}

func add[T any](all map[string][]string, k *kind[T]) {
	for name := range maps.Keys(k.fields) {
		all[k.names[0]] = append(all[k.names[0]], name)
	}
}

// Kept is how many fields have plans that are kept, and how many steps these have in all.
func (p *Plans) Kept() (fields, steps int) {
	p.kept.variants.Range(func(any, any) bool { fields++; return true })
	return fields, int(p.kept.steps.Load())
}

// The limits of what is kept.
const (
	MostVariants = mostVariants
	MostKept     = mostKept
	MostSteps    = mostSteps
)

// AppendText is how texts are written.
func AppendText(b []byte, s string) []byte { return render.Text(b, s, escape) }
