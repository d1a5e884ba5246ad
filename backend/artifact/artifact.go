// Package artifact reads the model folder that cnnlab exports: its contract, and the proof that every
// file is the one that was exported. It opens no TensorFlow.
package artifact

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	contractName     = "contract.json"
	maxContractBytes = 16 << 20
	h5Name           = "model.h5"
	savedModelName   = "saved_model"
)

// Artifact is a model folder whose every file was found to be what the contract says.
type Artifact struct {
	// Folder is where it is, absolute.
	Folder string
	// Contract is what the folder says about itself.
	Contract Contract
	// Public is the contract as JSON, without the names and hashes of files; whatever its format
	// is, the entries are those of format 3.
	Public json.RawMessage

	inner []byte // the copy of the contract that the H5 file must hold
}

// SavedModel returns the folder of the exported graph.
func (a *Artifact) SavedModel() string { return filepath.Join(a.Folder, savedModelName) }

// Load returns a model folder after checking its contract, the SHA-256 of every file, and that its
// graph holds nothing but what an export of cnnlab holds.
//
// No link inside the folder is followed. A folder that is not what it should be gives a *Refused.
// The hashes say that no file changed, not who made them: that says the signature, which is asked
// for with a key that is not nil.
func Load(folder string, trusted ed25519.PublicKey) (*Artifact, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("finding the model folder: %w", err)
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return nil, fmt.Errorf("no model folder: %w", err)
	}
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("no model folder at %s: expected one with a %s", folder, contractName)
	}
	text, err := readContract(folder)
	if err != nil {
		return nil, err
	}
	if trusted != nil {
		if err := checkSignature(folder, text, trusted); err != nil {
			return nil, err
		}
	}
	artifact, err := Parse(text, folder)
	if err != nil {
		return nil, err
	}
	if err := checkSeal(folder, &artifact.Contract); err != nil {
		return nil, err
	}
	// The contract cannot list its own hash, but the H5 file is sealed, and holds as an attribute,
	// one piece of plain text, all of the contract but what may change without the network.
	switch same, err := fileContains(folder, h5Name, artifact.inner); {
	case err != nil:
		return nil, err
	case !same:
		return nil, damaged(folder, contractName, "does not agree with "+h5Name)
	}
	if err := checkGraph(folder, artifact.Contract.Files); err != nil {
		return nil, err
	}
	return artifact, nil
}

func readContract(folder string) ([]byte, error) {
	file, err := openRegular(folder, contractName)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxContractBytes))
	if err != nil {
		return nil, fmt.Errorf("reading %s in %s: %w", contractName, folder, err)
	}
	return text, nil
}
