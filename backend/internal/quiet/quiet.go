// Package quiet keeps TensorFlow's start-up notes out of a program's log.
//
// The library writes two lines while it is loaded, and reads how loud it may be afterwards at the
// same time: both before any Go code runs. So a program that imports this package starts with
// standard error turned off, and Start, called first in main, turns it on again.
package quiet

// int cnnlab_stderr_on(void);
import "C"

import (
	"os"
	"syscall"
)

const level = "TF_CPP_MIN_LOG_LEVEL"

// Start turns standard error on. Unless the environment says how loud TensorFlow is to be, it then
// starts the program again with its log turned off; where that cannot be, the log is loud, no more.
func Start() {
	C.cnnlab_stderr_on()
	if _, set := os.LookupEnv(level); set {
		return
	}
	own, err := os.Executable()
	if err != nil || os.Setenv(level, "3") != nil {
		return
	}
	_ = syscall.Exec(own, os.Args, os.Environ())
}
