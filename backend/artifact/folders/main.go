// Command folders prints what this program says of model folders, so that tests can compare it with
// other programs: for each argument a line, the code of the refusal or missing, and what it says;
// or graph, where all is right as far as can be seen without TensorFlow.
package main

import (
	"errors"
	"fmt"
	"os"

	"cnnlab/backend/artifact"
)

func main() {
	for _, folder := range os.Args[1:] {
		_, err := artifact.Load(folder)
		var refused *artifact.Refused
		switch {
		case err == nil:
			fmt.Println("graph")
		case errors.As(err, &refused):
			fmt.Printf("%s %q\n", refused.Code, err)
		default:
			fmt.Printf("missing %q\n", err)
		}
	}
}
