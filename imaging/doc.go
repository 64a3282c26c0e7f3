// Package imaging is the domain: image requests, their versions and the rules about them, as plain values and pure
// functions. It knows neither Postgres nor GraphQL nor HTTP; db applies it, the skins show it.
//
// The struct tags are read by the packages that store and show these types; nothing here depends on them.
package imaging
