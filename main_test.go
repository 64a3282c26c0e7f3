package main

import (
	"io"
	"os"
	"testing"

	"imagerequests/db/dbtest"
)

// asProgram in the environment makes this test binary the program itself, so that tests can start, signal and kill it.
const asProgram = "IMAGEREQUESTS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		go func() { // the pipe ends with the test, however that ends
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "--supervise-imager" { // started by the program as the supervisor of an imager
		main()
		return
	}
	os.Exit(dbtest.Main(m))
}
