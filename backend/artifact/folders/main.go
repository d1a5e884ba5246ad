// Command folders prints what this program says of model folders, so that tests can compare it with
// other programs: for each argument a line, the code of the refusal or missing, and what it says;
// or graph, where all is right as far as can be seen without TensorFlow. With -key, only what the
// owner of a public key signed is right.
package main

import (
	"crypto/ed25519"
	"errors"
	"flag"
	"fmt"
	"os"

	"cnnlab/backend/artifact"
)

func main() {
	path := flag.String("key", "", "`file` of a public key")
	flag.Parse()
	var key ed25519.PublicKey
	if *path != "" {
		var err error
		if key, err = artifact.ReadKey(*path); err != nil {
			fmt.Fprintln(os.Stderr, "folders:", err)
			os.Exit(1)
		}
	}
	for _, folder := range flag.Args() {
		_, err := artifact.Load(folder, key)
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
