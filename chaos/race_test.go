//go:build race

package chaos

// raced says that the program under test is built with the race detector, too.
const raced = true
