package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"unicode/utf8"
)

// What may be written in a contract is described by cnnlab/artifact/contract.schema.json. The tests
// give this package and Python's, which goes by that schema, the same contracts: a change of one
// belongs in the other, too.

const (
	preprocessingVersion = 1
	conformalScore       = "lac"
	noveltyScore         = "max_softmax"
)

// The first of each is what a contract of format 2 means.
var (
	fits        = []string{"stretch", "pad", "crop"}
	backgrounds = []string{"white", "black", "grey"}
)

// Contract is the part of contract.json that answers depend on; one of format 2 reads as format 3.
type Contract struct {
	Format        int
	ClassNames    []string // in the order of the probabilities
	ImageSize     int      // pixels a side
	Preprocessing Preprocessing
	Temperature   float64 // applied by the SavedModel
	Conformal     *Rule   // says which classes are plausible; nil: not calibrated
	Novelty       *Rule   // says when an image shows none of the classes; nil: not calibrated
	RunID         string
	ModelID       string
	Files         map[string]string // SHA-256 by path
	Bytes         int64             // of all files together
}

// Preprocessing says how the bytes of an image become pixels, which the SavedModel does.
type Preprocessing struct {
	Version         int
	Fit, Background string
}

// Rule is a threshold on the probabilities.
type Rule struct {
	Score        string  // what is compared
	Share        float64 // the coverage of prediction sets, or the share of known images accepted
	Threshold    float64
	CalibratedOn int // images that it comes from
}

// Parse returns what the text of a contract says of a model folder; of the folder's files nothing is
// read. A text that no reader may use gives a *Refused.
func Parse(text []byte, folder string) (*Artifact, error) {
	changed := damaged(folder, contractName, "was changed")
	if !utf8.Valid(text) {
		return nil, changed
	}
	decoded, err := decodeJSON(text)
	tree, isObject := decoded.(map[string]any)
	if err != nil || !isObject {
		return nil, changed
	}
	canonical, err := canonicalJSON(tree, 2)
	if err != nil {
		return nil, changed
	}
	format, isInteger := wholeNumber(tree["format"])
	if isInteger && format != 2 && format != 3 {
		return nil, &Refused{CodeUnsupported, folder, contractName,
			fmt.Sprintf("the format is %s: expected 2 or 3", brief(tree["format"]))}
	}
	// The text must be the canonical one: that catches what JSON itself would let pass, another
	// spacing or a key given twice.
	if !bytes.Equal(append(canonical, '\n'), text) {
		return nil, changed
	}
	inner, err := without(tree, "files", "bytes", "formats")
	if err != nil {
		return nil, err
	}
	var r reader
	contract := r.contract(tree, int(format))
	switch {
	case r.invalid != nil:
		return nil, &Refused{CodeInvalid, folder, contractName, r.invalid.Error()}
	case r.unsupported != nil:
		return nil, &Refused{CodeUnsupported, folder, contractName, r.unsupported.Error()}
	}
	if err := checkFormats(tree, contract); err != nil {
		return nil, damaged(folder, contractName, err.Error())
	}
	public, err := without(tree, "files", "formats")
	if err != nil {
		return nil, err
	}
	return &Artifact{folder, contract, public, inner}, nil
}

// contract reads all entries. A tree of format 2 becomes one of format 3.
func (r *reader) contract(tree map[string]any, format int) Contract {
	if format == 2 {
		r.upgrade(tree)
	}
	r.keys("", tree, "format", "class_names", "image_size", "preprocessing", "temperature",
		"conformal", "novelty", "run_id", "parameters", "model_id", "files", "bytes", "formats")
	r.number("format", tree["format"], whole(2, 3))
	r.number("parameters", tree["parameters"], whole(0, 1e15))
	r.formats("formats", tree["formats"])
	contract := Contract{
		Format:        format,
		ClassNames:    r.labels("class_names", tree["class_names"]),
		ImageSize:     int(r.number("image_size", tree["image_size"], whole(16, 1024))),
		Preprocessing: r.preprocessing("preprocessing", tree["preprocessing"]),
		Temperature:   r.number("temperature", tree["temperature"], temperatures),
		Conformal:     r.rule("conformal", tree["conformal"], conformalScore, "coverage"),
		Novelty:       r.rule("novelty", tree["novelty"], noveltyScore, "accepted"),
		RunID:         r.text("run_id", tree["run_id"]),
		ModelID:       r.hash("model_id", tree["model_id"]),
		Files:         r.files("files", tree["files"]),
		Bytes:         int64(r.number("bytes", tree["bytes"], whole(0, mostBytes))),
	}
	if rule := contract.Conformal; rule != nil {
		r.known("conformal: score", rule.Score, conformalScore)
	}
	if rule := contract.Novelty; rule != nil {
		r.known("novelty: score", rule.Score, noveltyScore)
	}
	return contract
}

// upgrade gives a tree of format 2 the entries of format 3, with what that format left unsaid.
func (r *reader) upgrade(tree map[string]any) {
	r.keys("", tree, "format", "class_names", "image_size", "preprocessing_version", "temperature",
		"conformal", "novelty", "run_id", "parameters", "model_id", "files", "bytes")
	tree["preprocessing"] = map[string]any{
		"version": tree["preprocessing_version"], "fit": fits[0], "background": backgrounds[0],
	}
	delete(tree, "preprocessing_version")
	tree["formats"] = map[string]any{}
	if rule, isObject := tree["conformal"].(map[string]any); isObject {
		r.keys("conformal", rule, "coverage", "threshold", "calibrated_on")
		rule["score"] = conformalScore
	}
}

func (r *reader) preprocessing(place string, value any) Preprocessing {
	entries := r.object(place, value)
	version := int(r.number(place+": version", entries["version"], whole(1, 1e6)))
	if version != preprocessingVersion { // it says what else the entry holds
		r.known(place+": version", strconv.Itoa(version), strconv.Itoa(preprocessingVersion))
		return Preprocessing{}
	}
	r.keys(place, entries, "version", "fit", "background")
	found := Preprocessing{version, r.name(place+": fit", entries["fit"]),
		r.name(place+": background", entries["background"])}
	r.known(place+": fit", found.Fit, fits...)
	r.known(place+": background", found.Background, backgrounds...)
	return found
}

// rule reads a rule. One by another score comes back with no more than that: it may hold anything.
func (r *reader) rule(place string, value any, score, share string) *Rule {
	if value == nil {
		return nil
	}
	entries := r.object(place, value)
	found := Rule{Score: r.name(place+": score", entries["score"])}
	if found.Score == score {
		r.keys(place, entries, "score", share, "threshold", "calibrated_on")
		found.Share = r.number(place+": "+share, entries[share], bounds{low: 0, high: 1, open: true})
		found.Threshold = r.number(place+": threshold", entries["threshold"], bounds{low: 0, high: 1})
		found.CalibratedOn = int(r.number(
			place+": calibrated_on", entries["calibrated_on"], whole(1, 1e12)))
	}
	return &found
}

// formats checks the shape of every entry; this program serves the SavedModel and uses none.
func (r *reader) formats(place string, value any) {
	for name, value := range r.named(place, value, 0, 100) {
		place := fmt.Sprintf("%s: %s", place, name)
		entry := r.object(place, value)
		r.keysAmong(place, entry, []string{"files", "id", "checks"},
			[]string{"temperature", "conformal", "novelty", "details"})
		r.files(place+": files", entry["files"])
		r.hash(place+": id", entry["id"])
		for measure, value := range r.named(place+": checks", entry["checks"], 1, 100) {
			place := fmt.Sprintf("%s: checks: %s", place, measure)
			check := r.object(place, value)
			r.keys(place, check, "limit", "measured", "images")
			r.number(place+": limit", check["limit"], bounds{low: -1000, high: 1000})
			r.number(place+": measured", check["measured"], bounds{low: -1000, high: 1000})
			r.number(place+": images", check["images"], whole(1, 1e9))
		}
		if value, stated := entry["temperature"]; stated {
			r.number(place+": temperature", value, temperatures)
		}
		if value, stated := entry["details"]; stated {
			r.object(place+": details", value)
		}
		r.rule(place+": conformal", entry["conformal"], conformalScore, "coverage")
		r.rule(place+": novelty", entry["novelty"], noveltyScore, "accepted")
	}
}

// checkFormats compares the formats of a sound tree with their ids and with the list of files: the
// H5 file does not seal them.
func checkFormats(tree map[string]any, contract Contract) error {
	for name, value := range tree["formats"].(map[string]any) {
		entry := maps.Clone(value.(map[string]any))
		id := entry["id"]
		delete(entry, "id")
		text, err := canonicalJSON(map[string]any{
			"entry": entry, "model_id": contract.ModelID, "name": name,
		}, 0)
		if err != nil {
			return err
		}
		if digest := sha256.Sum256(text); id != hex.EncodeToString(digest[:]) {
			return fmt.Errorf("has another id than its format %q", name)
		}
		for path, digest := range entry["files"].(map[string]any) {
			if contract.Files[path] != digest {
				return fmt.Errorf("lists other files than its format %q", name)
			}
		}
	}
	return nil
}

// without returns the tree as JSON on one line, without some of its entries.
func without(tree map[string]any, names ...string) (json.RawMessage, error) {
	rest := maps.Clone(tree)
	for _, name := range names {
		delete(rest, name)
	}
	return canonicalJSON(rest, 0)
}
