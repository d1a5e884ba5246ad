package predictor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const (
	contractName     = "contract.json"
	contractFormat   = 2 // counts up with every change of the contract's entries; others are refused
	maxContractBytes = 16 << 20
	h5Name           = "model.h5"
	savedModelName   = "saved_model"
	noveltyScore     = "max_softmax"
)

// Artifact is a model folder whose every file was found to be what the contract says.
type Artifact struct {
	// Folder is where it is, absolute.
	Folder string
	// Contract is what the folder says about itself.
	Contract Contract
	// Public is the contract as JSON, without the names and hashes of the files.
	Public json.RawMessage
}

// Contract is the part of contract.json that answers depend on.
type Contract struct {
	Format               int               `json:"format"`
	ClassNames           []string          `json:"class_names"` // in the order of the probabilities
	ImageSize            int               `json:"image_size"`  // pixels a side
	PreprocessingVersion int               `json:"preprocessing_version"`
	Conformal            *SetRule          `json:"conformal"` // nil: not calibrated
	Novelty              *NoveltyRule      `json:"novelty"`   // nil: not calibrated
	RunID                string            `json:"run_id"`
	ModelID              string            `json:"model_id"`
	Files                map[string]string `json:"files"` // SHA-256 by path
	Bytes                int64             `json:"bytes"` // of all files together
}

// SetRule says which classes are plausible; see Contract.
type SetRule struct {
	Coverage     float64 `json:"coverage"`
	Threshold    float64 `json:"threshold"`
	CalibratedOn int     `json:"calibrated_on"`
}

// NoveltyRule says when an image shows none of the classes; see Contract.
type NoveltyRule struct {
	Accepted     float64 `json:"accepted"`
	Threshold    float64 `json:"threshold"`
	CalibratedOn int     `json:"calibrated_on"`
	Score        string  `json:"score"`
}

// LoadArtifact returns a model folder after checking its contract and the SHA-256 of every file.
//
// No link inside the folder is followed and TensorFlow opens nothing. A file that is missing,
// changed, extra or not a regular file gives a *DamagedError.
func LoadArtifact(folder string) (*Artifact, error) {
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
	tree, contract, err := readContract(folder)
	if err != nil {
		return nil, err
	}
	total, err := checkSeal(folder, contract.Files, contractName)
	if err != nil {
		return nil, err
	}
	public, err := checkInnerCopy(folder, tree)
	if err != nil {
		return nil, err
	}
	if total != contract.Bytes {
		return nil, &DamagedError{folder, contractName, "does not agree with its files"}
	}
	if err := contract.check(); err != nil {
		return nil, fmt.Errorf("%s in %s: %w", contractName, folder, err)
	}
	return &Artifact{folder, contract, public}, nil
}

// readContract returns the contract as a tree and as a struct. Its text must be the canonical one:
// that catches what JSON itself would let pass, another spacing or a key given twice.
func readContract(folder string) (map[string]any, Contract, error) {
	changed := &DamagedError{folder, contractName, "was changed"}
	file, err := openRegular(folder, contractName)
	if err != nil {
		return nil, Contract{}, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxContractBytes))
	if err != nil {
		return nil, Contract{}, fmt.Errorf("reading %s in %s: %w", contractName, folder, err)
	}
	decoded, err := decodeJSON(text)
	tree, isObject := decoded.(map[string]any)
	if err != nil || !isObject || tree["format"] == nil {
		return nil, Contract{}, changed
	}
	canonical, err := canonicalJSON(tree, 2)
	if err != nil {
		return nil, Contract{}, changed
	}
	if tree["format"] != json.Number(fmt.Sprint(contractFormat)) {
		return nil, Contract{}, fmt.Errorf(
			"the model in %s has format %v: expected %d; save the model again",
			folder, tree["format"], contractFormat)
	}
	var contract Contract
	same := bytes.Equal(append(canonical, '\n'), text)
	if !same || json.Unmarshal(text, &contract) != nil || contract.Files == nil {
		return nil, Contract{}, changed
	}
	return tree, contract, nil
}

// checkInnerCopy checks the contract against its copy inside the H5 file and returns its public
// part. The contract cannot list its own hash, but the H5 file is sealed, and holds as an attribute,
// one piece of plain text, all of the contract but the list of files and their size.
func checkInnerCopy(folder string, tree map[string]any) (json.RawMessage, error) {
	outer := tree["bytes"]
	delete(tree, "files")
	public, err := canonicalJSON(tree, 0)
	if err != nil {
		return nil, err
	}
	delete(tree, "bytes")
	inner, err := canonicalJSON(tree, 0)
	if err != nil {
		return nil, err
	}
	tree["bytes"] = outer
	switch same, err := fileContains(folder, h5Name, inner); {
	case err != nil:
		return nil, err
	case !same:
		return nil, &DamagedError{folder, contractName, "does not agree with " + h5Name}
	}
	return public, nil
}

// check refuses a contract that no answer can be made from.
func (c *Contract) check() error {
	if len(c.ClassNames) < 2 || c.ImageSize < 1 || c.ModelID == "" || c.PreprocessingVersion < 1 {
		return errors.New("class_names, image_size, model_id or preprocessing_version is missing")
	}
	if rule := c.Conformal; rule != nil {
		if err := checkRule(rule.Coverage, rule.Threshold, rule.CalibratedOn); err != nil {
			return fmt.Errorf("conformal: %w", err)
		}
	}
	if rule := c.Novelty; rule != nil {
		if rule.Score != noveltyScore {
			return fmt.Errorf("novelty: the score is %q: expected %q", rule.Score, noveltyScore)
		}
		if err := checkRule(rule.Accepted, rule.Threshold, rule.CalibratedOn); err != nil {
			return fmt.Errorf("novelty: %w", err)
		}
	}
	return nil
}

func checkRule(share, threshold float64, rows int) error {
	if !(0 < share && share < 1 && 0 <= threshold && threshold <= 1 && rows >= 1) {
		return fmt.Errorf("a rule of share %v, threshold %v, from %d images is out of range",
			share, threshold, rows)
	}
	return nil
}
