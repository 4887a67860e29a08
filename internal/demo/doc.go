// Package demo builds a small cloud through the API of a running weft, as a user
// would, and proves with real traffic between network namespaces that it works.
// It is the first thing a newcomer runs and the last check before a release.
package demo
