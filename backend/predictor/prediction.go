package predictor

import (
	"encoding/json"
	"slices"
	"time"

	"cnnlab/backend/artifact"
)

// Prediction is an answer about one image, with the fields that every other front end sends.
type Prediction struct {
	// Label is the most probable class.
	Label string `json:"label"`
	// Probability is its probability, temperature applied.
	Probability Float `json:"probability"`
	// Top lists the most probable classes, best first; equal ones in the order of the labels.
	Top []Candidate `json:"top"`
	// Plausible lists the labels of the prediction set, best first; empty where the artifact
	// promises none.
	Plausible []string `json:"plausible"`
	// NoneOfThese says whether the network is less certain than for nearly all images of its
	// classes; nil where the artifact sets no threshold.
	NoneOfThese *bool `json:"none_of_these"`
	// Cached says whether the answer came from the cache.
	Cached bool `json:"cached"`
	// ElapsedMS is the time from the bytes to the answer, in milliseconds.
	ElapsedMS Float `json:"elapsed_ms"`
	// SHA256 is the hash of the image's bytes, hexadecimal.
	SHA256 string `json:"sha256"`
	// ModelID says which model answered.
	ModelID string `json:"model_id"`
}

// Candidate is a class and its probability.
type Candidate struct {
	Label       string `json:"label"`
	Probability Float  `json:"probability"`
}

// Float is a number whose JSON is always that of a float and reads back as the same float64.
type Float float64

// MarshalJSON writes 1.0 where encoding/json writes 1.
func (f Float) MarshalJSON() ([]byte, error) {
	return artifact.AppendFloat(make([]byte, 0, 24), float64(f)), nil
}

var _ json.Marshaler = Float(0)

// answer returns what a row of probabilities means. All comparisons are made on the served
// float32, widened to float64.
func answer(contract *artifact.Contract, row []float32, top int) Prediction {
	order := make([]int, len(row))
	for index := range order {
		order[index] = index
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case row[a] > row[b]:
			return -1
		case row[a] < row[b]:
			return 1
		}
		return 0
	})
	prediction := Prediction{Plausible: []string{}, ModelID: contract.ModelID}
	for _, index := range order[:min(top, len(order))] {
		candidate := Candidate{contract.ClassNames[index], Float(row[index])}
		prediction.Top = append(prediction.Top, candidate)
	}
	best := prediction.Top[0]
	prediction.Label, prediction.Probability = best.Label, best.Probability
	if rule := contract.Conformal; rule != nil {
		for rank, index := range order { // the most probable class always is plausible
			if rank == 0 || float64(row[index]) >= rule.Threshold {
				prediction.Plausible = append(prediction.Plausible, contract.ClassNames[index])
			}
		}
	}
	if rule := contract.Novelty; rule != nil {
		unlike := float64(best.Probability) < rule.Threshold
		prediction.NoneOfThese = &unlike
	}
	return prediction
}

func milliseconds(since time.Time) Float {
	return Float(float64(time.Since(since)) / float64(time.Millisecond))
}
